import { duplexPair } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { askCredentials, askIntroduction } from '../../../enclave/parent-services.ts';
import { type ScopeHeader, scopeHeaderCodec } from '../../../enclave/sealing/scope-header.ts';
import { type Manifest, manifestCodec } from '../../../enclave/store/manifest.ts';
import { KmsError } from '../../../shared/errors.ts';
import { digest, epochId, keyId, partyId } from '../../../shared/ids.ts';
import { credentialsCodec, introductionCodec } from '../../../shared/parent-service.ts';
import { scopeName } from '../../../shared/sealing/scope.ts';
import { stateRecordCodec } from '../../../shared/sealing/state-record.ts';
import { parseStrictJson } from '../../../shared/sealing/strict-json.ts';
import { concat, equalBytes } from '../../../shared/wire/bytes.ts';
import { type Codec, decode, encode, u32 } from '../../../shared/wire/codec.ts';
import { damage, damaged } from '../protocol/damage.ts';

const numRuns = Number(process.env.FUZZ_RUNS ?? 200);
const scope = { kind: 'key', key: keyId('ab'.repeat(32)), epoch: epochId(3) } as const;
const hash = digest('cd'.repeat(32));
const [one, two] = [partyId(1), partyId(2)];
const manifest: Manifest = {
  ...{ version: 7, previous: hash },
  entries: [
    { name: 'a', scope: 'node', version: 3, body: { kind: 'inline', sealed: new Uint8Array(40) } },
    {
      ...{ name: 'keys/x', scope: scopeName(scope), version: 7 },
      body: { kind: 'object', id: new Uint8Array(16), digest: hash, sizeBytes: 5_000 },
    },
  ],
};
const header: ScopeHeader = {
  scope,
  blobs: [{ kmsKey: 'arn:aws:kms:eu-central-1:000000000001:key/x', blob: new Uint8Array(60) }],
  shares: [one, two].map((party) => ({ party, digest: hash })),
};
const introduction = { genesis: new Uint8Array(50), configurations: [new Uint8Array(30)], party: two };
const credentials = {
  accessKeyId: 'A',
  secretAccessKey: 'B',
  sessionToken: 'C',
  expiresMs: 1_800_000_000_000n,
};
const record = { party: one, version: 5, incarnation: 2, digest: hash, signature: new Uint8Array(64) };

interface Decoder {
  readonly name: string;
  readonly codec: Codec<unknown>;
  readonly valid: Uint8Array;
}

function decoder<T>(name: string, codec: Codec<T>, value: T): Decoder {
  // What is decoded from a Codec<T> is only encoded again by the same codec.
  return { name, codec: codec as unknown as Codec<unknown>, valid: encode(codec, value) };
}

const decoders: readonly Decoder[] = [
  decoder('manifest', manifestCodec, manifest),
  decoder('scope header', scopeHeaderCodec, header),
  decoder('state record', stateRecordCodec, record),
  decoder('introduction', introductionCodec, introduction),
  decoder('credentials', credentialsCodec, credentials),
];

/** Either these bytes are the one encoding of what they mean, or they are refused as such. */
function expectStrict({ codec }: Decoder, bytes: Uint8Array): void {
  let value: unknown;
  try {
    value = decode(codec, bytes);
  } catch (error) {
    if (!(error instanceof KmsError)) throw error;
    expect(['BAD_ENCODING', 'BAD_INPUT']).toContain(error.code);
    return;
  }
  expect(equalBytes(encode(codec, value), bytes)).toBe(true);
}

describe.each(decoders)('$name', (one) => {
  it(`fuzz: ${one.name}: random bytes`, () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => expectStrict(one, bytes)),
      { numRuns },
    );
  });

  it(`fuzz: ${one.name}: valid bytes, damaged`, () => {
    expectStrict(one, one.valid);
    fc.assert(
      fc.property(damage, (how) => expectStrict(one, damaged(one.valid, how))),
      { numRuns },
    );
  });
});

/** A parent that answers with these bytes, in pieces, and then ends or breaks off. */
async function answered<T>(
  ask: (link: Parameters<typeof askIntroduction>[0]) => Promise<T>,
  bytes: Uint8Array,
  breaks = false,
) {
  const [near, far] = duplexPair();
  far.on('error', () => {});
  const asked: Buffer[] = [];
  far.on('data', (chunk: Buffer) => asked.push(chunk));
  const link = { connect: async () => near, listen: () => Promise.reject(new Error('not here')) };
  const answer = ask(link).then(
    (value) => ({ value, code: 'answered' }),
    (error: unknown) => ({ value: undefined, code: error instanceof KmsError ? error.code : String(error) }),
  );
  for (let at = 0; at < bytes.length; at += 100) far.write(bytes.subarray(at, at + 100));
  await new Promise((resolve) => setImmediate(resolve));
  if (breaks) near.destroy(new Error('reset'));
  else {
    // As a socket does that its other end has closed.
    await new Promise((resolve) => setImmediate(resolve));
    near.destroy();
  }
  return { ...(await answer), asked: Buffer.concat(asked).toString() };
}

const framed = (body: Uint8Array): Uint8Array => concat(encode(u32, body.length), body);

describe('answers of the parent', () => {
  it('parent: is asked by one line, and its answer is read', async () => {
    const told = await answered(askIntroduction, framed(encode(introductionCodec, introduction)));
    expect(told).toEqual({ value: introduction, code: 'answered', asked: 'introduction\n' });
    const lent = await answered(askCredentials, framed(encode(credentialsCodec, credentials)));
    expect(lent).toMatchObject({
      value: { ...credentials, expiresMs: 1_800_000_000_000 },
      asked: 'credentials\n',
    });
  });

  it('parent: no answer, half an answer, or one that never ends', async () => {
    const whole = framed(encode(introductionCodec, introduction));
    for (const breaks of [false, true]) {
      for (const length of [0, 3, 4, whole.length - 1]) {
        expect((await answered(askIntroduction, whole.subarray(0, length), breaks)).code).toBe('UNAVAILABLE');
      }
    }
    expect((await answered(askIntroduction, encode(u32, 2 ** 32 - 1))).code).toBe('TOO_LARGE');
    expect((await answered(askIntroduction, encode(u32, (32 << 20) + 1))).code).toBe('TOO_LARGE');
    expect((await answered(askIntroduction, framed(new Uint8Array(0)))).code).toBe('BAD_ENCODING');
  });

  it('fuzz: parent: anything is answered for, or refused with one of these', async () => {
    const codes = ['answered', 'UNAVAILABLE', 'BAD_ENCODING', 'BAD_INPUT', 'TOO_LARGE'];
    const whole = framed(encode(credentialsCodec, credentials));
    await fc.assert(
      fc.asyncProperty(damage, async (how) => {
        expect(codes).toContain((await answered(askCredentials, damaged(whole, how))).code);
      }),
      { numRuns: Math.min(numRuns, 200) },
    );
  });
});

describe('strict JSON', () => {
  const value = fc.letrec((tie) => ({
    any: fc.oneof(
      { maxDepth: 3 },
      fc.constantFrom(true, false, null),
      fc.stringMatching(/^[a-z:*/ -]{0,12}$/),
      fc.array(tie('any'), { maxLength: 3 }),
      fc.dictionary(fc.stringMatching(/^[A-Za-z:]{1,8}$/), tie('any'), { maxKeys: 3, noNullPrototype: true }),
    ),
  })).any;

  it('strict json: means what JSON means, and says no to what two readers may read differently', () => {
    fc.assert(
      fc.property(value, fc.constantFrom(0, 1, 2), (one, indent) => {
        const text = JSON.stringify(one, undefined, indent);
        expect(parseStrictJson(text)).toEqual(JSON.parse(text));
      }),
    );
    const bad = [
      '{"a":true,"a":false}',
      '{"a":"\\u0062"}',
      '1',
      '[1]',
      '{"a":true,}',
      '',
      '{',
      '"a',
      '{"1":null,"0":null}',
    ];
    for (const text of bad) {
      expect(() => parseStrictJson(text), text).toThrow(expect.objectContaining({ code: 'BAD_ENCODING' }));
    }
  });

  it('fuzz: strict json: any text', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 60 }), (text) => {
        try {
          expect(JSON.stringify(parseStrictJson(text))).toBe(JSON.stringify(JSON.parse(text)));
        } catch (error) {
          expect(error).toMatchObject({ code: 'BAD_ENCODING' });
        }
      }),
      { numRuns },
    );
  });
});
