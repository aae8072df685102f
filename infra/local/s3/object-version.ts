import { createHash } from 'node:crypto';
import type { RecordHeader } from './record.ts';

/** One version of an object as the index knows it. */
export interface ObjectVersion extends RecordHeader {
  /** "null" for one that was written without versioning. */
  readonly versionId: string;
  /** Order of commitment within the bucket. */
  readonly sequence: number;
  readonly sizeBytes: number;
  readonly bodyOffset: number;
  /** Name in the bucket's directory. */
  readonly file: string;
}

export const NULL_VERSION = 'null';
const versionIdShape = /^(?:null|[0-9a-f]{32})$/;
const fileShape = /^([0-9a-f]{64})\.([0-9a-f]{12})\.(null|[0-9a-f]{32})$/;

export function isVersionId(text: string): boolean {
  return versionIdShape.test(text);
}

/** No key leads out of a directory: its digest names the file. */
export function fileNameOf(key: string, sequence: number, versionId: string): string {
  return `${keyDigest(key)}.${sequence.toString(16).padStart(12, '0')}.${versionId}`;
}

/** Undefined if it is not the name of a version. */
export function parseFileName(
  file: string,
): { readonly digest: string; readonly sequence: number; readonly versionId: string } | undefined {
  const [, digest, sequence, versionId] = fileShape.exec(file) ?? [];
  if (digest === undefined || sequence === undefined || versionId === undefined) return undefined;
  return { digest, sequence: Number.parseInt(sequence, 16), versionId };
}

export function keyDigest(key: string): string {
  return createHash('sha256').update(key).digest('hex');
}
