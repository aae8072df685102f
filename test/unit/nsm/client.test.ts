import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NsmClient } from '../../../enclave/nsm/client.ts';
import { decodeRequest, encodeRequest, type NsmRequest } from '../../../enclave/nsm/request.ts';
import { decodeResponse, encodeResponse, type NsmResponse } from '../../../enclave/nsm/response.ts';
import { concat, fromHex, toHex, utf8 } from '../../../shared/wire/bytes.ts';

const pcr = 'ab'.repeat(48);

/** Text as the device's protocol spells it: CBOR text of less than 24 bytes. */
const text = (of: string): string => toHex(concat(Uint8Array.of(0x60 + of.length), utf8(of)));

/** A device that knows one question by its bytes. */
function scripted(answers: Readonly<Record<string, string>>): NsmClient {
  return new NsmClient(async (request) => {
    const answer = answers[toHex(request)];
    if (answer === undefined) throw new Error(`unexpected request ${toHex(request)}`);
    return fromHex(answer);
  });
}

/** A device that always answers the same. */
const stubborn = (answer: string): NsmClient => new NsmClient(async () => fromHex(answer));

describe('security module', () => {
  it('security module: bytes of requests and answers are those of the device', async () => {
    const attestation = `a1${text('Attestation')}a3${text('user_data')}4101${text('nonce')}f6${text('public_key')}420203`;
    const device = scripted({
      [attestation]: `a1${text('Attestation')}a1${text('document')}43010203`,
      [`a1${text('DescribePCR')}a1${text('index')}10`]: `a1${text('DescribePCR')}a2${text('lock')}f5${text('data')}5830${pcr}`,
      [`a1${text('ExtendPCR')}a2${text('index')}1818${text('data')}4109`]: `a1${text('ExtendPCR')}a1${text('data')}5830${pcr}`,
      [`a1${text('LockPCR')}a1${text('index')}181f`]: text('LockPCR'),
      [text('GetRandom')]: `a1${text('GetRandom')}a1${text('random')}44deadbeef`,
      [text('DescribeNSM')]:
        `a1${text('DescribeNSM')}a7${text('version_major')}01${text('version_minor')}00${text('version_patch')}02` +
        `${text('module_id')}${text('i-1')}${text('max_pcrs')}1820${text('locked_pcrs')}820010${text('digest')}${text('SHA384')}`,
    });
    const asked = { userData: Uint8Array.of(1), publicKey: Uint8Array.of(2, 3) };
    expect(await device.attest(asked)).toEqual(Uint8Array.of(1, 2, 3));
    expect(await device.describePcr(16)).toEqual({ isLocked: true, value: fromHex(pcr) });
    expect(await device.extendPcr(24, Uint8Array.of(9))).toEqual(fromHex(pcr));
    await device.lockPcr(31);
    expect(await device.random(6)).toEqual(fromHex('deadbeefdead'));
    expect(await device.random(0)).toEqual(new Uint8Array(0));
    expect(await device.describe()).toEqual({
      version: '1.0.2',
      moduleId: 'i-1',
      pcrCount: 32,
      lockedPcrs: [0, 16],
    });
  });

  it.each([
    ...['InvalidArgument', 'InvalidIndex', 'ReadOnlyIndex', 'InvalidOperation', 'InputTooLarge'].map(
      (code) => [code, 'BAD_INPUT'] as const,
    ),
    ...['InvalidResponse', 'BufferTooSmall', 'InternalError', 'Surprise'].map(
      (code) => [code, 'UNAVAILABLE'] as const,
    ),
  ])('security module: %s is %s', async (code, expected) => {
    const device = stubborn(`a1${text('Error')}${text(code)}`);
    await expect(device.describePcr(0)).rejects.toMatchObject({ code: expected });
  });

  it.each<[string, string]>([
    ['nothing', ''],
    ['an answer to another question', `a1${text('GetRandom')}a1${text('random')}4101`],
    ['an unknown answer', `a1${text('Other')}a0`],
    ['two answers', `a2${text('LockPCR')}a0${text('GetRandom')}a0`],
    ['no lock', `a1${text('DescribePCR')}a1${text('data')}5830${pcr}`],
    ['a short register', `a1${text('DescribePCR')}a2${text('lock')}f5${text('data')}4101`],
    ['no register', `a1${text('DescribePCR')}a1${text('lock')}f5`],
    ['trailing bytes', `a1${text('DescribePCR')}a2${text('lock')}f5${text('data')}5830${pcr}00`],
  ])('security module: %s is BAD_ENCODING', async (_, answer) => {
    await expect(stubborn(answer).describePcr(0)).rejects.toMatchObject({ code: 'BAD_ENCODING' });
  });

  it('security module: empty randomness is BAD_ENCODING, not an endless loop', async () => {
    const device = stubborn(`a1${text('GetRandom')}a1${text('random')}40`);
    await expect(device.random(8)).rejects.toMatchObject({ code: 'BAD_ENCODING' });
  });

  it('security module: arguments beyond its limits are BAD_INPUT and never sent', async () => {
    const device = new NsmClient(() => expect.unreachable());
    const badInput = { code: 'BAD_INPUT' };
    await expect(device.attest({ userData: new Uint8Array(513) })).rejects.toMatchObject(badInput);
    await expect(device.attest({ nonce: new Uint8Array(513) })).rejects.toMatchObject(badInput);
    await expect(device.attest({ publicKey: new Uint8Array(1025) })).rejects.toMatchObject(badInput);
    await expect(device.extendPcr(16, new Uint8Array(513))).rejects.toMatchObject(badInput);
    await expect(device.extendPcr(16, new Uint8Array(0))).rejects.toMatchObject(badInput);
    for (const index of [-1, 32, 1.5]) {
      await expect(device.lockPcr(index)).rejects.toMatchObject(badInput);
    }
  });

  it('security module: one request at a time, also after one that failed', async () => {
    let running = 0;
    let asked = 0;
    const device = new NsmClient(async () => {
      expect(++running).toBe(1);
      await new Promise((resolve) => setImmediate(resolve));
      running--;
      if (asked++ === 1) throw new Error('once');
      return fromHex(text('LockPCR'));
    });
    const outcomes = await Promise.allSettled([16, 17, 18, 19].map((index) => device.lockPcr(index)));
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled']);
  });

  it('security module: requests and answers survive the wire', () => {
    const some = (maxLength: number) => fc.option(fc.uint8Array({ maxLength }), { nil: undefined });
    const index = fc.nat(31);
    const given = <T extends object>(of: T): T =>
      Object.fromEntries(Object.entries(of).filter(([, value]) => value !== undefined)) as T;
    const request: fc.Arbitrary<NsmRequest> = fc.oneof(
      fc
        .record({ userData: some(512), nonce: some(512), publicKey: some(1024) })
        .map((fields): NsmRequest => ({ kind: 'Attestation', ...given({ ...fields }) }) as NsmRequest),
      index.map((i): NsmRequest => ({ kind: 'DescribePCR', index: i })),
      index.map((i): NsmRequest => ({ kind: 'LockPCR', index: i })),
      fc
        .tuple(index, fc.uint8Array({ minLength: 1, maxLength: 512 }))
        .map(([i, data]): NsmRequest => ({ kind: 'ExtendPCR', index: i, data })),
      fc.constantFrom<NsmRequest>({ kind: 'DescribeNSM' }, { kind: 'GetRandom' }),
    );
    fc.assert(fc.property(request, (of) => void expect(decodeRequest(encodeRequest(of))).toEqual(of)));
    const register = fc.uint8Array({ minLength: 48, maxLength: 48 });
    const answer: fc.Arbitrary<NsmResponse> = fc.oneof(
      fc.uint8Array({ minLength: 1 }).map((document): NsmResponse => ({ kind: 'Attestation', document })),
      fc
        .tuple(fc.boolean(), register)
        .map(([lock, data]): NsmResponse => ({ kind: 'DescribePCR', lock, data })),
      register.map((data): NsmResponse => ({ kind: 'ExtendPCR', data })),
      fc.constant<NsmResponse>({ kind: 'LockPCR' }),
    );
    fc.assert(
      fc.property(answer, (of) => void expect(decodeResponse(encodeResponse(of), of.kind)).toEqual(of)),
    );
  });

  it('security module: a damaged request is refused as such', () => {
    const good = encodeRequest({ kind: 'ExtendPCR', index: 16, data: Uint8Array.of(1, 2, 3) });
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.nat(255), (at, value) => {
        const bytes = good.slice();
        bytes[at] = value;
        try {
          decodeRequest(bytes);
        } catch (error) {
          expect(error).toMatchObject({ code: expect.stringMatching(/^BAD_(ENCODING|INPUT)$/) });
        }
      }),
    );
  });
});
