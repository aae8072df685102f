import type { KeyId } from '../../ids.ts';
import { type Codec, decode, encode, key, struct, u32 } from '../../wire/codec.ts';
import { type Certificate, certificateCodec } from '../certificate.ts';
import { archiveName } from '../setup/archive.ts';
import { type SeedRecord, seedRecordCodec, seedRecordName } from '../setup/setup.ts';
import { type KeyRecord, keyRecordCodec } from './record.ts';
import { type KeyRequest, keyRequestCodec } from './request.ts';

/** Written when a party joins a session, before it speaks in it. */
export interface RequestState {
  readonly request: KeyRequest;
  readonly key: KeyId;
  readonly attempt: number;
}

export const requestStateCodec: Codec<RequestState> = struct({ request: keyRequestCodec, key, attempt: u32 });

/** What a party may find of one key after a restart; each record is durable before what it stands for is spoken. */
export interface KeyFiles {
  readonly state: RequestState;
  readonly seeds: SeedRecord | undefined;
  /** An encoded SeedArchive, while other members may need it. */
  readonly archive: Uint8Array | undefined;
  readonly record: KeyRecord | undefined;
  readonly certificate: Certificate | undefined;
}

export const requestName = (id: KeyId): string => `keys/${id}/request`;
export const recordName = (id: KeyId): string => `keys/${id}/record`;
export const certificateName = (id: KeyId): string => `keys/${id}/certificate`;

/** The names that hold one key, in the order they are written. */
export function keyFileNames(id: KeyId): readonly string[] {
  return [
    requestName(id),
    archiveName(id),
    seedRecordName(id),
    `keys/${id}/round-one`,
    recordName(id),
    certificateName(id),
  ];
}

/** Reads the records of one key from whatever store holds them. @returns undefined if the key was never begun */
export async function readKeyFiles(
  id: KeyId,
  get: (name: string) => Promise<Uint8Array | undefined>,
): Promise<KeyFiles | undefined> {
  const read = async <T>(name: string, codec: Codec<T>): Promise<T | undefined> => {
    const bytes = await get(name);
    return bytes === undefined ? undefined : decode(codec, bytes);
  };
  const state = await read(requestName(id), requestStateCodec);
  if (state === undefined) return undefined;
  return {
    state,
    seeds: await read(seedRecordName(id), seedRecordCodec),
    archive: await get(archiveName(id)),
    record: await read(recordName(id), keyRecordCodec),
    certificate: await read(certificateName(id), certificateCodec),
  };
}

export function encodeCertificate(certificate: Certificate): Uint8Array {
  return encode(certificateCodec, certificate);
}
