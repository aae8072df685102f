import { type KeyObject, sign, verify, type X509Certificate } from 'node:crypto';
import { writeCbor } from '../../shared/attestation/cbor-writer.ts';
import { signedBytes, writeSign1 } from '../../shared/attestation/cose.ts';
import { KmsError } from '../../shared/errors.ts';
import { equalBytes, utf8 } from '../../shared/wire/bytes.ts';
import { parseCertificate, parseSign1, type SignatureSection } from './signature-section.ts';

const CURVE = 'secp384r1';

/** What a signer states: the value of PCR0, in AWS's CBOR. */
export function pcrStatement(pcr0: Uint8Array): Uint8Array {
  return writeCbor(
    new Map<string, number | readonly number[]>([
      ['register_index', 0],
      ['register_value', [...pcr0]],
    ]),
  );
}

/**
 * ES384 over an image's PCR0. ECDSA takes a random number: signing twice gives two files with the same registers.
 * @param certificate PEM, of a key on P-384
 * @param key the certificate's private key
 * @throws {KmsError} BAD_ENCODING, BAD_INPUT when the two do not belong together
 */
export function signRegister(pcr0: Uint8Array, certificate: Uint8Array, key: KeyObject): SignatureSection {
  const parsed = parseCertificate(certificate);
  if (!isOnCurve(parsed)) throw new KmsError('BAD_INPUT', 'the signing certificate is not of a key on P-384');
  if (!parsed.checkPrivateKey(key)) {
    throw new KmsError('BAD_INPUT', 'the private key is not that of the signing certificate');
  }
  const payload = pcrStatement(pcr0);
  const signature = sign('sha384', signedBytes(payload), { key, dsaEncoding: 'ieee-p1363' });
  // Node's own spelling of the certificate, whatever stood around it in the file.
  return {
    certificate: utf8(parsed.toString()),
    sign1: writeSign1({ payload, signature: new Uint8Array(signature) }),
  };
}

/**
 * That the certificate's key signed this PCR0. Who that is, and until when the certificate is valid, is not looked at: PCR8
 * names the certificate.
 * @throws {KmsError} BAD_SIGNATURE, BAD_ENCODING
 */
export function verifySignature({ certificate, sign1 }: SignatureSection, pcr0: Uint8Array): void {
  const parsed = parseCertificate(certificate);
  if (!isOnCurve(parsed)) throw bad('its certificate is not of a key on P-384');
  const { payload, signature } = parseSign1(sign1);
  if (!equalBytes(payload, pcrStatement(pcr0))) throw bad('it is of another image');
  const key = { key: parsed.publicKey, dsaEncoding: 'ieee-p1363' } as const;
  if (!verify('sha384', signedBytes(payload), key, signature)) {
    throw bad("it does not hold under the certificate's key");
  }
}

function isOnCurve({ publicKey }: X509Certificate): boolean {
  return publicKey.asymmetricKeyType === 'ec' && publicKey.asymmetricKeyDetails?.namedCurve === CURVE;
}

function bad(why: string): KmsError {
  return new KmsError('BAD_SIGNATURE', `the image's signature is refused: ${why}`);
}
