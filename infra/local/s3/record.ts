import { KmsError } from '../../../shared/errors.ts';
import { concat, utf8 } from '../../../shared/wire/bytes.ts';
import { type Checksum, checksumAlgorithms } from './checksum.ts';
import type { ReadableFile } from './files.ts';

/** What is known of a body besides its bytes. Parts of an upload have the key of their upload. */
export interface RecordHeader {
  readonly key: string;
  /** A delete marker: no body. */
  readonly marker: boolean;
  /** Without quotes. */
  readonly etag: string;
  readonly lastModifiedMs: number;
  /** Response headers, lower case: content-type, x-amz-meta-... */
  readonly metadata: Readonly<Record<string, string>>;
  readonly checksum?: Checksum;
  /** The upload it was completed from. */
  readonly uploadId?: string;
  readonly parts?: number;
}

/** A record's file: magic, length of the header in hex, "\n", header in JSON, body. */
const MAGIC = 'kms-s3-1 ';
const PREFIX_BYTES = MAGIC.length + 9;
const MAX_HEADER_BYTES = 64 * 1024;

/** What comes before the body. */
export function encodeHeader(header: RecordHeader): Uint8Array {
  const json = utf8(JSON.stringify(header));
  if (json.length > MAX_HEADER_BYTES) throw new KmsError('TOO_LARGE', 'the header of a record is too large');
  return concat(utf8(`${MAGIC}${json.length.toString(16).padStart(8, '0')}\n`), json);
}

/** @throws {KmsError} BAD_ENCODING */
export async function readHeader(file: ReadableFile): Promise<{ header: RecordHeader; bodyOffset: number }> {
  const prefix = Buffer.from(await file.read(0, PREFIX_BYTES)).toString('latin1');
  const length = /^kms-s3-1 ([0-9a-f]{8})\n$/.exec(prefix)?.[1];
  const jsonBytes = Number.parseInt(length ?? '', 16);
  if (!(jsonBytes <= MAX_HEADER_BYTES)) throw damaged();
  const json = await file.read(PREFIX_BYTES, jsonBytes);
  try {
    if (json.length !== jsonBytes) throw damaged();
    const header: RecordHeader = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(json));
    check(header);
    return { header, bodyOffset: PREFIX_BYTES + jsonBytes };
  } catch (cause) {
    throw cause instanceof KmsError ? cause : damaged(cause);
  }
}

function check(header: RecordHeader): void {
  const { checksum, metadata, uploadId, parts } = header;
  const good =
    typeof header.key === 'string' &&
    typeof header.marker === 'boolean' &&
    typeof header.etag === 'string' &&
    Number.isSafeInteger(header.lastModifiedMs) &&
    (uploadId === undefined || typeof uploadId === 'string') &&
    (parts === undefined || Number.isSafeInteger(parts)) &&
    Object.values(metadata).every((value) => typeof value === 'string') &&
    (checksum === undefined ||
      (checksumAlgorithms.includes(checksum.algorithm) &&
        typeof checksum.value === 'string' &&
        (checksum.type === 'FULL_OBJECT' || checksum.type === 'COMPOSITE')));
  if (!good) throw damaged();
}

function damaged(cause?: unknown): KmsError {
  return new KmsError('BAD_ENCODING', 'not a record of the S3 stand-in, or damaged', { cause });
}
