import { KmsError } from '../../shared/errors.ts';
import { type Digest, digest } from '../../shared/ids.ts';
import { noble } from '../../shared/noble.ts';
import { toHex } from '../../shared/wire/bytes.ts';
import { readInput } from './file.ts';

const PEM = /^-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----\s*$/;
const SEQUENCE = 0x30;

/** SHA-256 of a root certificate: given as 64 hex digits, or as a file in PEM or DER. @throws {KmsError} BAD_INPUT */
export async function attestationRootFrom(given: string): Promise<Digest> {
  const hex = given.toLowerCase().replaceAll(':', '');
  if (/^[0-9a-f]{64}$/.test(hex)) return digest(hex);
  const bytes = await readInput(given, 'an attestation root', 64 * 1024);
  const pem = PEM.exec(new TextDecoder().decode(bytes));
  const der = pem === null ? bytes : Uint8Array.from(Buffer.from(pem[1] ?? '', 'base64'));
  if (der[0] !== SEQUENCE) throw new KmsError('BAD_INPUT', `${given} is no certificate in PEM or DER`);
  return digest(toHex(noble.sha256(der)));
}
