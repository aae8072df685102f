import { createPrivateKey, createPublicKey, randomBytes, sign } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { isPrimeOrderPoint } from '../../shared/ed25519.ts';
import { KmsError } from '../../shared/errors.ts';
import type { Signer } from '../../shared/primitives.ts';
import { concat, equalBytes, fromHex, toHex, utf8 } from '../../shared/wire/bytes.ts';
import { readInput, writeOutput, writeSecret } from './file.ts';

/**
 * An operator's governance key: the file says what it is in its first line, then holds the 32-byte Ed25519 seed. Beside
 * it `<file>.pub`, one line that may be given to anybody.
 */
const HEADER = utf8('SECRET: kms operator governance key, version 1. Keep it offline.\n');
const SEED_BYTES = 32;
const PUBLIC_PREFIX = 'kms-governance-public-1';
/** PKCS#8 header of a raw Ed25519 seed (RFC 8410). */
const PKCS8_HEADER = fromHex('302e020100300506032b657004220420');

/**
 * Draws a key and writes it, mode 0600, and its public half. Never replaces a file.
 * @returns the public key, 32 bytes
 * @throws {KmsError} BAD_INPUT
 */
export async function makeGovernanceKey(path: string): Promise<Uint8Array> {
  const seed = new Uint8Array(randomBytes(SEED_BYTES));
  const file = concat(HEADER, seed);
  try {
    const { publicKey } = signerFrom(seed);
    await writeSecret(path, file);
    await writeOutput(`${path}.pub`, utf8(`${PUBLIC_PREFIX} ${toHex(publicKey)}\n`));
    return publicKey;
  } finally {
    seed.fill(0);
    file.fill(0);
  }
}

/** @throws {KmsError} BAD_INPUT if it cannot be read or others can read it too, BAD_ENCODING if it is no such key */
export async function readGovernanceKey(path: string): Promise<Signer> {
  const file = await readInput(path, 'a governance key', 4096);
  const { mode } = await stat(path);
  if ((mode & 0o077) !== 0) {
    throw new KmsError('BAD_INPUT', `${path} can be read by others; chmod 600 it, and ask who has a copy`);
  }
  const isKey =
    file.length === HEADER.length + SEED_BYTES && equalBytes(file.subarray(0, HEADER.length), HEADER);
  if (!isKey) throw new KmsError('BAD_ENCODING', `${path} is not a governance key`);
  const signer = signerFrom(file.subarray(HEADER.length));
  file.fill(0);
  return signer;
}

/** @throws {KmsError} BAD_INPUT, BAD_ENCODING */
export async function readGovernancePublicKey(path: string): Promise<Uint8Array> {
  const line = new TextDecoder().decode(await readInput(path, 'a governance public key', 4096)).trim();
  const [prefix, hex = '', ...rest] = line.split(' ');
  if (prefix !== PUBLIC_PREFIX || rest.length > 0 || !/^[0-9a-f]{64}$/.test(hex)) {
    throw new KmsError('BAD_ENCODING', `${path} is not the public half of a governance key`);
  }
  const key = fromHex(hex);
  if (!isPrimeOrderPoint(key)) throw new KmsError('BAD_ENCODING', `${path} holds no Ed25519 public key`);
  return key;
}

function signerFrom(seed: Uint8Array): Signer {
  const encoded = Buffer.from(concat(PKCS8_HEADER, seed));
  const key = createPrivateKey({ key: encoded, format: 'der', type: 'pkcs8' });
  encoded.fill(0);
  const spki = createPublicKey(key).export({ format: 'der', type: 'spki' });
  return {
    publicKey: new Uint8Array(spki.subarray(-SEED_BYTES)),
    sign: (message) => new Uint8Array(sign(null, message, key)),
  };
}
