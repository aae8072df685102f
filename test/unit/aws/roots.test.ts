import { X509Certificate } from 'node:crypto';
import { rootCertificates } from 'node:tls';
import { expect, it } from 'vitest';
import { ENDPOINT_ROOTS as production } from '../../../shared/attestation/roots/aws.ts';
import { ENDPOINT_ROOTS as lab, ROOTS as labAttestation } from '../../../shared/attestation/roots/lab.ts';
import { ENDPOINT_ROOTS as mock, ROOTS as mockAttestation } from '../../../shared/attestation/roots/mock.ts';

const NAMES = [
  ...['Amazon Root CA 1', 'Amazon Root CA 2', 'Amazon Root CA 3', 'Amazon Root CA 4'],
  'Starfield Services Root Certificate Authority - G2',
];

/** As Amazon Trust Services publishes them: SHA-256 of the certificates. */
const FINGERPRINTS = [
  '8ecde6884f3d87b1125ba31ac3fcb13d7016de7f57cc904fe1cb97c6ae98196e',
  '1ba5b2aa8c65401a82960118f80bec4f62304d83cec4713a19c39c011ea46db4',
  '18ce6cfe7bf14e60b2e347b8dfe868cb31d02ebb3ada271569f50343b46db3a4',
  'e35d28419ed02025cfa69038cd623962458da5c695fbdea3c22b0bfb25897092',
  '568d6905a2c88708a4b3025190edcfedb1974a606a13c6e5290fcb2ae63edab5',
];

const nameOf = ({ subject }: X509Certificate): string => /^CN=(.*)$/m.exec(subject)?.[1] ?? '';

it("endpoint roots: production has Amazon's five, as Node ships them", () => {
  const shipped = rootCertificates.map((pem) => new X509Certificate(pem));
  expect(production).toHaveLength(NAMES.length);
  for (const [i, der] of production.entries()) {
    const ours = new X509Certificate(der);
    expect(nameOf(ours)).toBe(NAMES[i]);
    expect(ours.fingerprint256.replaceAll(':', '').toLowerCase()).toBe(FINGERPRINTS[i]);
    const [theirs, second] = shipped.filter((one) => nameOf(one) === NAMES[i]);
    expect(second).toBeUndefined();
    expect(theirs?.raw.equals(ours.raw)).toBe(true);
    expect(ours.ca && ours.verify(ours.publicKey)).toBe(true);
  }
});

it('endpoint roots: lab and mock have only the root whose key everybody knows', () => {
  expect(lab).toEqual(labAttestation.map(({ der }) => der));
  expect(mock).toEqual(mockAttestation.map(({ der }) => der));
});
