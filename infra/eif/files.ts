import { createPrivateKey, type KeyObject } from 'node:crypto';
import { readInput } from '../../client/cli/file.ts';
import { KmsError } from '../../shared/errors.ts';
import { MAX_EIF_BYTES } from './format.ts';
import type { EnclaveImage } from './image.ts';
import { imageRegister } from './pcr.ts';
import { readEif } from './reader.ts';
import { signRegister } from './signature.ts';
import { writeSignatureSection } from './signature-section.ts';

const MAX_PEM_BYTES = 16 << 10;

/** @throws {KmsError} BAD_INPUT when it cannot be read, BAD_ENCODING, TOO_LARGE */
export async function readEifFile(path: string): Promise<EnclaveImage> {
  return readEif(await readInput(path, 'the enclave image', MAX_EIF_BYTES));
}

export interface SigningFiles {
  /** Path of a PEM certificate of a key on P-384. */
  readonly certificate: string;
  /** Path of its private key, PEM, not encrypted. */
  readonly privateKey: string;
}

/** The image with a signature; one that it has is replaced. @throws {KmsError} BAD_INPUT, BAD_ENCODING, TOO_LARGE */
export async function signedImage(image: EnclaveImage, files: SigningFiles): Promise<EnclaveImage> {
  const certificate = await readInput(files.certificate, 'the signing certificate', MAX_PEM_BYTES);
  const key = await readPrivateKey(files.privateKey);
  const section = signRegister(imageRegister(image), certificate, key);
  return { ...image, signature: writeSignatureSection(section) };
}

/** SECRET, and in the end nowhere but in the key object. */
async function readPrivateKey(path: string): Promise<KeyObject> {
  const pem = await readInput(path, 'the private key', MAX_PEM_BYTES);
  const bytes = Buffer.from(pem.buffer, pem.byteOffset, pem.byteLength);
  try {
    return createPrivateKey({ key: bytes, format: 'pem' });
  } catch {
    // The library's own message may quote the file.
    throw new KmsError('BAD_INPUT', `${path} is not a private key in PEM without a passphrase`);
  } finally {
    pem.fill(0);
  }
}
