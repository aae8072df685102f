import { digest } from '../../shared/ids.ts';
import type { Kernel } from '../../shared/math/kernel/kernel.ts';
import { certificateCodec } from '../../shared/protocol/certificate.ts';
import {
  certificateName,
  type KeyFiles,
  recordName,
  requestName,
  requestStateCodec,
} from '../../shared/protocol/keygen/files.ts';
import { KeyGeneration, type KeygenSettings } from '../../shared/protocol/keygen/keygen.ts';
import { keyRecordCodec } from '../../shared/protocol/keygen/record.ts';
import type { KeyRequest } from '../../shared/protocol/keygen/request.ts';
import { seedRecordCodec, seedRecordName } from '../../shared/protocol/setup/setup.ts';
import { decode } from '../../shared/wire/codec.ts';
import type { Disk, Factory } from './simulation.ts';

export const testRequest: KeyRequest = {
  request: digest('22'.repeat(32)),
  preset: 'test-4096',
  galois: 'none',
};

/** Key generation that resumes from disk, as a node does. */
export function keygenFactory(
  kernel: Kernel,
  request: KeyRequest = testRequest,
  settings: Partial<KeygenSettings> = {},
): Factory<KeyGeneration> {
  return (membership, disk, rng) => {
    const all: KeygenSettings = { kernel, rng, roundMs: 1000, openingMs: 10_000, ...settings };
    const files = latestFiles(disk);
    return files === undefined
      ? new KeyGeneration(membership, request, all)
      : KeyGeneration.resume(membership, files, all);
  };
}

/** Files of the newest attempt on a disk. */
export function latestFiles(disk: Disk): KeyFiles | undefined {
  const states = [...disk]
    .filter(([name]) => name.endsWith('/request'))
    .map(([, bytes]) => decode(requestStateCodec, bytes));
  const state = states.sort((a, b) => b.attempt - a.attempt)[0];
  if (state === undefined || !disk.has(requestName(state.key))) return undefined;
  const read = <T>(name: string, parse: (bytes: Uint8Array) => T): T | undefined => {
    const bytes = disk.get(name);
    return bytes === undefined ? undefined : parse(bytes);
  };
  return {
    state,
    seeds: read(seedRecordName(state.key), (bytes) => decode(seedRecordCodec, bytes)),
    record: read(recordName(state.key), (bytes) => decode(keyRecordCodec, bytes)),
    certificate: read(certificateName(state.key), (bytes) => decode(certificateCodec, bytes)),
  };
}
