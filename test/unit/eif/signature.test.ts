import { sign } from 'node:crypto';
import { decode } from 'cbor-x';
import { describe, expect, it } from 'vitest';
import { certificateRegister, imageRegister, measure } from '../../../infra/eif/pcr.ts';
import { pcrStatement, signRegister, verifySignature } from '../../../infra/eif/signature.ts';
import {
  readSignatureSection,
  type SignatureSection,
  writeSignatureSection,
} from '../../../infra/eif/signature-section.ts';
import { signedBytes, writeSign1 } from '../../../shared/attestation/cose.ts';
import { toHex, utf8 } from '../../../shared/wire/bytes.ts';
import { registerOf } from '../../oracle/eif.ts';
import { codeFrom, type Signer, signer, smallImage } from './fixture.ts';

const image = smallImage();
const pcr0 = imageRegister(image);
const alice = await signer();
const mallory = await signer();
const good = signRegister(pcr0, alice.certificate, alice.key);

describe('signRegister', () => {
  it('signRegister: the section is what another CBOR reader sees as the format of AWS', () => {
    const section: unknown = decode(writeSignatureSection(good));
    expect(section).toEqual([{ signing_certificate: [...alice.certificate], signature: [...good.sign1] }]);
    const [header, unprotected, payload, signature] = decode(good.sign1.slice());
    expect(decode(header)).toEqual({ 1: -35 });
    expect(unprotected).toEqual({});
    expect(decode(payload)).toEqual({ register_index: 0, register_value: [...pcr0] });
    expect(signature).toHaveLength(96);
  });

  it('signRegister: a second signature has the same registers', () => {
    const again = signRegister(pcr0, alice.certificate, alice.key);
    expect(again.sign1).not.toEqual(good.sign1);
    expect(measure(signedBy(again))).toEqual(measure(signedBy(good)));
  });

  it("signRegister: refuses another certificate's key, and other curves", async () => {
    const small = await signer('P-256');
    expect(codeFrom(() => signRegister(pcr0, alice.certificate, mallory.key))).toBe('BAD_INPUT');
    expect(codeFrom(() => signRegister(pcr0, small.certificate, small.key))).toBe('BAD_INPUT');
    expect(codeFrom(() => signRegister(pcr0, utf8('no certificate'), alice.key))).toBe('BAD_ENCODING');
  });
});

describe('verifySignature', () => {
  it('verifySignature: takes the signature of the image', () => {
    verifySignature(good, pcr0);
    expect(readSignatureSection(writeSignatureSection(good))).toEqual(good);
  });

  it.each<[string, () => SignatureSection]>([
    ['a signature of another image', () => signRegister(pcr0.toReversed(), alice.certificate, alice.key)],
    ["another signer's certificate", () => ({ ...good, certificate: mallory.certificate })],
    [
      'a signature over another register',
      () =>
        sectionOver(
          alice,
          Uint8Array.from(pcrStatement(pcr0), (b, i) => (i === 16 ? 8 : b)),
        ),
    ],
    [
      'a flipped bit',
      () => ({
        ...good,
        sign1: good.sign1.map((byte, i) => (i === good.sign1.length - 1 ? byte ^ 1 : byte)),
      }),
    ],
  ])('verifySignature: refuses %s, and measures nothing', (_, make) => {
    expect(codeFrom(() => verifySignature(make(), pcr0))).toBe('BAD_SIGNATURE');
    expect(codeFrom(() => measure(signedBy(make())))).toBe('BAD_SIGNATURE');
  });

  it('verifySignature: refuses a key on another curve', async () => {
    const small = await signer('P-256');
    const payload = pcrStatement(pcr0);
    const signature = new Uint8Array(96);
    signature.set(sign('sha384', signedBytes(payload), { key: small.key, dsaEncoding: 'ieee-p1363' }));
    const section = { certificate: small.certificate, sign1: writeSign1({ payload, signature }) };
    expect(codeFrom(() => verifySignature(section, pcr0))).toBe('BAD_SIGNATURE');
  });
});

describe('measure', () => {
  it('measure: registers are hashes of hashes, the certificate as DER', () => {
    const { kernel, cmdline, ramdisks } = image;
    const der = Buffer.from(
      new TextDecoder().decode(alice.certificate).split('\n').slice(1, -2).join(''),
      'base64',
    );
    const { pcr0, pcr1, pcr2, pcr8 } = measure(signedBy(good));
    expect([pcr0, pcr1, pcr2, pcr8!].map(toHex)).toEqual([
      registerOf(kernel, cmdline, ...ramdisks),
      registerOf(kernel, cmdline, ramdisks[0]!),
      registerOf(ramdisks[1]!),
      registerOf(der),
    ]);
    expect(certificateRegister(alice.certificate)).toEqual(pcr8);
    expect(measure(image)).toEqual({ pcr0, pcr1, pcr2 });
  });

  it('measure: metadata, architecture and defaults are in no register', () => {
    const other = smallImage({ architecture: 'arm64', defaults: { memoryBytes: 1, cpus: 1 } });
    expect(measure(other)).toEqual(measure(image));
  });
});

describe('readSignatureSection', () => {
  const bytes = writeSignatureSection(good);

  it.each<[string, (bytes: Uint8Array) => Uint8Array]>([
    ['two signatures', (section) => Uint8Array.from([0x82, ...section.slice(1), ...section.slice(1)])],
    ['no signature', () => Uint8Array.of(0x80)],
    ['three fields', (section) => section.with(1, 0xa3)],
    ['another name', (section) => section.with(4, 0x53)],
    ['trailing bytes', (section) => Uint8Array.from([...section, 0])],
    ['nothing', () => new Uint8Array(0)],
    ['a list of indefinite length', (section) => section.with(22, 0x9f)],
    [
      'an integer that is not in its shortest form',
      (section) => Uint8Array.from([...section.slice(0, 25), 0x18, 0x05, ...section.slice(27)]),
    ],
  ])('readSignatureSection: refuses %s', (_, change) => {
    expect(codeFrom(() => readSignatureSection(change(bytes)))).toBe('BAD_ENCODING');
  });

  it.each<[string, (pem: string) => string]>([
    ['text before the certificate', (pem) => `subject=x\n${pem}`],
    ['text after the certificate', (pem) => `${pem}x\n`],
    ['two certificates', (pem) => pem + pem],
    ['a certificate that is none', (pem) => pem.replace(/M/g, 'A')],
    ['a key', (pem) => pem.replaceAll('CERTIFICATE', 'PUBLIC KEY')],
  ])('readSignatureSection: refuses %s', (_, change) => {
    const certificate = utf8(change(new TextDecoder().decode(alice.certificate)));
    expect(codeFrom(() => writeSignatureSection({ ...good, certificate }))).toBe('BAD_ENCODING');
  });

  it('readSignatureSection: refuses every truncation', () => {
    for (let size = 0; size < bytes.length; size += 7) {
      expect(codeFrom(() => readSignatureSection(bytes.subarray(0, size)))).toBe('BAD_ENCODING');
    }
  });
});

function sectionOver({ certificate, key }: Signer, payload: Uint8Array): SignatureSection {
  const signature = sign('sha384', signedBytes(payload), { key, dsaEncoding: 'ieee-p1363' });
  return { certificate, sign1: writeSign1({ payload, signature: new Uint8Array(signature) }) };
}

function signedBy(section: SignatureSection): ReturnType<typeof smallImage> {
  return { ...image, signature: writeSignatureSection(section) };
}
