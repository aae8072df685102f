import 'reflect-metadata';
import { X509Certificate } from 'node:crypto';
import { Extension } from '@peculiar/x509';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { type ChainFault, verifyChain } from '../../../shared/attestation/chain.ts';
import { parseUnverifiedCertificate } from '../../../shared/attestation/x509.ts';
import { concat } from '../../../shared/wire/bytes.ts';
import { ForgedModule, type Forgery, goodTerms, HOUR_MS, makeCertificate, NOW_MS } from './forge.ts';

let module: ForgedModule;
beforeAll(async () => {
  module = await ForgedModule.make();
});

const dersOf = (of: ForgedModule): readonly Uint8Array[] => of.chain.map(({ der }) => der);
const badEncoding = expect.objectContaining({ code: 'BAD_ENCODING' });

describe('chain of certificates', () => {
  it('chain of certificates: a good one gives its leaf key and the time in which all are valid', async () => {
    const zone = { fromMs: NOW_MS - 60_000 };
    const host = { untilMs: NOW_MS + 60_000 };
    const chain = await verifyChain(dersOf(await ForgedModule.make({ terms: { zone, host } })));
    expect(chain).toMatchObject({ notBeforeMs: NOW_MS - 60_000, notAfterMs: NOW_MS + 60_999 });
  });

  it.each<[ChainFault, Forgery]>([
    ['certificate-signature', { strangers: ['region'] }],
    ['certificate-signature', { strangers: ['zone'] }],
    ['certificate-signature', { strangers: ['host'] }],
    ['certificate-signature', { strangers: ['leaf'] }],
    ['not-an-authority', { terms: { host: { without: ['constraints'] } } }],
    ['not-an-authority', { terms: { root: { isCa: false } } }],
    ['key-usage', { terms: { root: { without: ['usage'] } } }],
    ['key-usage', { terms: { zone: { usage: 1 } } }],
    ['key-usage', { terms: { leaf: { usage: 1 << 2 } } }],
    ['key-usage', { terms: { leaf: { without: ['usage'] } } }],
    ['leaf-is-an-authority', { terms: { leaf: { isCa: true } } }],
    ['path-length', { terms: { region: { pathLength: 1 } } }],
    ['path-length', { terms: { zone: { pathLength: 0 } } }],
    ['path-length', { terms: { root: { pathLength: 2 } } }],
    ['issuer', { terms: { leaf: { issuer: 'CN=zone' } } }],
    ['issuer', { terms: { region: { subject: 'CN=regions' } } }],
    ['issuer', { chain: ['root'] }],
  ])('chain of certificates: one deviation is refused as %s', async (fault, forgery) => {
    expect(await verifyChain(dersOf(await ForgedModule.make(forgery)))).toBe(fault);
  });

  it('chain of certificates: a key off the curve is refused as certificate-signature', async () => {
    const ders = dersOf(module).map((der) => der.slice());
    const { publicKey } = parseUnverifiedCertificate(ders[2]!);
    ders[2]!.set(new Uint8Array(96).fill(1), Buffer.from(ders[2]!).indexOf(publicKey) + 1);
    expect(await verifyChain(ders)).toBe('certificate-signature');
  });
});

describe('certificate', () => {
  it("certificate: fields agree with OpenSSL's", async () => {
    for (const { der } of module.chain) {
      const ours = parseUnverifiedCertificate(der);
      const theirs = new X509Certificate(der);
      expect(ours.notBeforeMs).toBe(theirs.validFromDate.getTime());
      expect(ours.notAfterMs).toBe(theirs.validToDate.getTime() + 999);
      expect(ours.isCa).toBe(theirs.ca);
      const spki = theirs.publicKey.export({ format: 'der', type: 'spki' });
      expect(Buffer.from(ours.publicKey).equals(spki.subarray(-97))).toBe(true);
    }
  });

  it('certificate: dates from 2050 on agree too', async () => {
    const untilMs = Date.UTC(2061, 10, 5, 7, 8, 9);
    const { der } = await makeCertificate({ ...goodTerms.leaf, untilMs });
    expect(parseUnverifiedCertificate(der).notAfterMs).toBe(untilMs + 999);
  });

  it('certificate: unknown extensions are skipped, unknown critical and repeated ones refused', async () => {
    const extension = (isCritical: boolean): Extension =>
      new Extension('1.3.6.1.4.1.32473.9', isCritical, Uint8Array.of(5, 0));
    const make = async (...extensions: Extension[]): Promise<Uint8Array> =>
      (await makeCertificate({ ...goodTerms.leaf, extensions })).der;
    expect(parseUnverifiedCertificate(await make(extension(false))).maySignData).toBe(true);
    const critical = await make(extension(true));
    expect(() => parseUnverifiedCertificate(critical)).toThrow(badEncoding);
    const repeated = await make(extension(false), extension(false));
    expect(() => parseUnverifiedCertificate(repeated)).toThrow(badEncoding);
  });

  it.each([
    ['another curve', { curve: 'P-256' as const }],
    ['another hash', { hash: 'SHA-256' as const }],
    ['a path length without authority', { pathLength: 1 }],
  ])('certificate: %s is BAD_ENCODING', async (_, terms) => {
    const { der } = await makeCertificate({ ...goodTerms.leaf, ...terms });
    expect(() => parseUnverifiedCertificate(der)).toThrow(badEncoding);
  });

  it('certificate: every truncation, trailing byte and loose length is BAD_ENCODING', () => {
    const { der } = module.leaf;
    for (let size = 0; size < der.length; size++) {
      expect(() => parseUnverifiedCertificate(der.subarray(0, size)), `${size}`).toThrow(badEncoding);
    }
    expect(() => parseUnverifiedCertificate(concat(der, Uint8Array.of(0)))).toThrow(badEncoding);
    const [tag, , ...rest] = der;
    const loose = concat(Uint8Array.of(tag!, 0x83, 0), Uint8Array.from(rest));
    expect(() => parseUnverifiedCertificate(loose)).toThrow(badEncoding);
    const indefinite = concat(Uint8Array.of(tag!, 0x80), der.subarray(4), new Uint8Array(2));
    expect(() => parseUnverifiedCertificate(indefinite)).toThrow(badEncoding);
  });

  it('certificate: damage never does anything but BAD_ENCODING or another certificate', () => {
    const { der } = module.chain[1]!;
    const edit = fc.record({ at: fc.nat(der.length - 1), value: fc.nat(255) });
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 4 }), (edits) => {
        const bytes = der.slice();
        for (const { at, value } of edits) bytes[at] = value;
        try {
          const { signature, publicKey } = parseUnverifiedCertificate(bytes);
          expect([signature.length, publicKey.length]).toEqual([96, 97]);
        } catch (error) {
          expect(error).toEqual(badEncoding);
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('certificate: validity a year wide is read to the second', async () => {
    const fromMs = Date.UTC(2031, 1, 28, 23, 59, 59);
    const { der } = await makeCertificate({ ...goodTerms.leaf, fromMs, untilMs: fromMs + 8760 * HOUR_MS });
    const { notBeforeMs, notAfterMs } = parseUnverifiedCertificate(der);
    expect([notBeforeMs, notAfterMs]).toEqual([fromMs, fromMs + 8760 * HOUR_MS + 999]);
  });
});
