import { digest } from '../../shared/ids.ts';
import type { Kernel } from '../../shared/math/kernel/kernel.ts';
import { certificateCodec } from '../../shared/protocol/certificate.ts';
import {
  certificateName,
  type KeyFiles,
  recordName,
  requestStateCodec,
} from '../../shared/protocol/keygen/files.ts';
import { KeyGeneration, type KeygenSettings } from '../../shared/protocol/keygen/keygen.ts';
import { keyRecordCodec } from '../../shared/protocol/keygen/record.ts';
import type { KeyRequest } from '../../shared/protocol/keygen/request.ts';
import { archiveName } from '../../shared/protocol/setup/archive.ts';
import { seedRecordCodec, seedRecordName } from '../../shared/protocol/setup/setup.ts';
import { type Codec, decode } from '../../shared/wire/codec.ts';
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
    const attempts = filesOn(disk);
    return attempts.length === 0
      ? new KeyGeneration(membership, request, all)
      : KeyGeneration.resume(membership, attempts, all);
  };
}

/** Key files of every attempt on a disk. */
export function filesOn(disk: Disk): readonly KeyFiles[] {
  const read = <T>(name: string, codec: Codec<T>): T | undefined => {
    const bytes = disk.get(name);
    return bytes === undefined ? undefined : decode(codec, bytes);
  };
  return [...disk.keys()]
    .filter((name) => name.endsWith('/request'))
    .flatMap((name) => {
      const state = read(name, requestStateCodec);
      if (state === undefined) return [];
      return {
        state,
        seeds: read(seedRecordName(state.key), seedRecordCodec),
        archive: disk.get(archiveName(state.key)),
        record: read(recordName(state.key), keyRecordCodec),
        certificate: read(certificateName(state.key), certificateCodec),
      };
    });
}
