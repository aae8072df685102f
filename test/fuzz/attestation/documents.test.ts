import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { decodeRequest } from '../../../enclave/nsm/request.ts';
import { decodeResponse } from '../../../enclave/nsm/response.ts';
import { readCbor } from '../../../shared/attestation/cbor.ts';
import { ChainCache } from '../../../shared/attestation/chain-cache.ts';
import { parseUnverifiedDocument } from '../../../shared/attestation/document.ts';
import type { AttestationPolicy } from '../../../shared/attestation/policy.ts';
import { verifyDocument } from '../../../shared/attestation/verify.ts';
import { parseUnverifiedCertificate } from '../../../shared/attestation/x509.ts';
import { KmsError } from '../../../shared/errors.ts';
import { equalBytes } from '../../../shared/wire/bytes.ts';
import { ForgedModule, goodPolicy, NOW_MS } from '../../unit/attestation/forge.ts';
import { genuineDocument, hasGenuineDocuments } from '../../unit/attestation/genuine.ts';

const numRuns = Number(process.env.FUZZ_RUNS ?? 150);
const allowed = new Set(['BAD_ENCODING', 'TOO_LARGE', 'BAD_INPUT']);

let module: ForgedModule;
let document: Uint8Array;
let policy: AttestationPolicy;
let seeds: readonly Uint8Array[];

beforeAll(async () => {
  module = await ForgedModule.make();
  document = await module.document();
  policy = goodPolicy(module);
  seeds = [document, module.leaf.der, module.root.der, ...(hasGenuineDocuments ? [genuineDocument()] : [])];
});

const damage = fc.record({
  seed: fc.nat(),
  edits: fc.array(fc.record({ at: fc.nat(), value: fc.nat(255) }), { maxLength: 8 }),
  cut: fc.option(fc.record({ from: fc.nat(), sizeBytes: fc.nat(64) })),
  end: fc.oneof({ weight: 6, arbitrary: fc.constant(1) }, { weight: 1, arbitrary: fc.double({ min: 0, max: 1, noNaN: true }) }), // biome-ignore format: one line.
  tail: fc.oneof({ weight: 6, arbitrary: fc.constant(new Uint8Array(0)) }, { weight: 1, arbitrary: fc.uint8Array({ maxLength: 9 }) }), // biome-ignore format: one line.
});

/** Bytes changed, a piece cut out, the end cut off or lengthened. */
function damaged(
  from: Uint8Array,
  { edits, cut, end, tail }: typeof damage extends fc.Arbitrary<infer D> ? D : never,
) {
  let bytes = [...from];
  for (const { at, value } of edits) bytes[at % bytes.length] = value;
  if (cut !== null) bytes.splice(cut.from % bytes.length, cut.sizeBytes);
  bytes = bytes.slice(0, Math.floor(end * bytes.length));
  return Uint8Array.from([...bytes, ...tail]);
}

function onlyAllowed(decode: () => unknown): void {
  try {
    decode();
  } catch (error) {
    if (!(error instanceof KmsError) || !allowed.has(error.code)) throw error;
  }
}

describe('fuzz of attestation', () => {
  it('fuzz of attestation: every decoder gives a value or says what is wrong', () => {
    const decoders: readonly ((bytes: Uint8Array) => unknown)[] = [
      readCbor,
      parseUnverifiedDocument,
      parseUnverifiedCertificate,
      decodeRequest,
    ];
    fc.assert(
      fc.property(damage, (how) => {
        const bytes = damaged(seeds[how.seed % seeds.length]!, how);
        for (const decode of decoders) onlyAllowed(() => decode(bytes));
      }),
      { numRuns },
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        for (const decode of decoders) onlyAllowed(() => decode(bytes));
        try {
          decodeResponse(bytes, 'GetRandom');
        } catch (error) {
          expect(error).toMatchObject({
            code: expect.stringMatching(/^(BAD_ENCODING|BAD_INPUT|UNAVAILABLE)$/),
          });
        }
      }),
      { numRuns },
    );
  });

  it('fuzz of attestation: no damaged document verifies', async () => {
    const cache = new ChainCache();
    await verifyDocument(document, policy, NOW_MS, cache);
    await fc.assert(
      fc.asyncProperty(damage, async (how) => {
        const bytes = damaged(document, how);
        fc.pre(!equalBytes(bytes, document));
        await expect(verifyDocument(bytes, policy, NOW_MS, cache)).rejects.toMatchObject({
          code: expect.stringMatching(/^(BAD_ENCODING|BAD_ATTESTATION|TOO_LARGE)$/),
        });
      }),
      { numRuns },
    );
  });
});
