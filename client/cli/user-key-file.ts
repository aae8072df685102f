import { KmsError } from '../../shared/errors.ts';
import { userKeyFrom } from '../../shared/protocol/user-decryption/hpke.ts';
import { type UserKey, UserPrivateKey } from '../../shared/protocol/user-decryption/user-key.ts';
import { utf8 } from '../../shared/wire/bytes.ts';
import { type Codec, decode, encode, fixedBytes, struct } from '../../shared/wire/codec.ts';
import { readInput, writeSecret } from './file.ts';

/** "kmsu", then the format's version. */
const MAGIC = Uint8Array.of(...utf8('kmsu'), 1);

const layout: Codec<{ magic: Uint8Array; seed: Uint8Array }> = struct({
  magic: fixedBytes(MAGIC.length),
  seed: fixedBytes(32),
});

/** Writes a user's private key where only its owner can read it. Never replaces a file. @throws {KmsError} BAD_INPUT */
export async function writeUserKey(path: string, { privateKey }: UserKey): Promise<void> {
  const bytes = privateKey.use((seed) => encode(layout, { magic: MAGIC, seed }));
  await writeSecret(path, bytes);
  bytes.fill(0);
}

/** @throws {KmsError} BAD_INPUT when unreadable, BAD_ENCODING */
export async function readUserKey(path: string): Promise<UserKey> {
  const bytes = await readInput(path, 'a user key', 4096);
  const { magic, seed } = decode(layout, bytes);
  if (magic.some((byte, i) => byte !== MAGIC[i]))
    throw new KmsError('BAD_ENCODING', `${path} is not a user key`);
  const key = await userKeyFrom(new UserPrivateKey(seed));
  seed.fill(0);
  bytes.fill(0);
  return key;
}
