import { describe, expect, test } from 'vitest';
import type { Work } from '../../../enclave/member.ts';
import type { Service } from '../../../enclave/membership/phases.ts';
import { Services } from '../../../enclave/services.ts';
import { KmsError } from '../../../shared/errors.ts';
import type { Permission } from '../../../shared/gateway/policy/claim.ts';

const never = new AbortController().signal;
const bytes = new Uint8Array(32);
const gatewayRequest = { claim: bytes, evidence: bytes, envelopes: [], userKey: bytes };

interface Played {
  readonly services: Services;
  readonly done: string[];
  readonly asked: Service[];
  /** Not served any more after so many times. */
  readonly refusals: Map<Service, number>;
}

function played(hasGateway: boolean, kind: Permission['kind'] = 'public'): Played {
  const done: string[] = [];
  const asked: Service[] = [];
  const refusals = new Map<Service, number>();
  const did = async (what: string): Promise<Uint8Array> => {
    done.push(what);
    return bytes;
  };
  const work = {
    keys: { ids: [], certified: () => bytes },
    gateway: hasGateway
      ? {
          answers: {
            async answer(_: unknown, required: (kind: Permission['kind']) => void) {
              required(kind);
              await did('answer');
              required(kind);
              return { epoch: 1n, body: bytes, words: [] };
            },
          },
          batches: {
            async sign() {
              await did('sign');
              return [];
            },
          },
          commands: {
            async *carryOut() {
              await did('carryOut');
              yield { kind: 'progress', phase: '', done: 0, total: 1 };
              yield { kind: 'done', statement: bytes, signature: bytes };
            },
          },
        }
      : undefined,
  } as unknown as Work;
  const services = new Services((service) => {
    asked.push(service);
    const left = refusals.get(service);
    if (left === 0) throw new KmsError('UNAVAILABLE', 'not now');
    if (left !== undefined) refusals.set(service, left - 1);
    return work;
  });
  return { services, done, asked, refusals };
}

async function all(steps: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of steps);
}
describe('services', () => {
  test('services: a network without a gateway answers and carries out nothing of one', async () => {
    const { services } = played(false);
    await expect(services.answer(gatewayRequest, never)).rejects.toMatchObject({ code: 'BAD_INPUT' });
    await expect(all(services.carryOut(gatewayRequest, never))).rejects.toMatchObject({ code: 'BAD_INPUT' });
  });

  test('services: a user’s request needs a good clock, before the work and before the answer leaves; others do not', async () => {
    for (const kind of ['public', 'transfer'] as const) {
      const other = played(true, kind);
      other.refusals.set('user-decrypt', 0);
      await other.services.answer(gatewayRequest, never);
    }
    for (const [left, done] of [
      [0, []],
      [1, ['answer']],
    ] as const) {
      const user = played(true, 'user');
      user.refusals.set('user-decrypt', left);
      await expect(user.services.answer(gatewayRequest, never)).rejects.toMatchObject({
        code: 'UNAVAILABLE',
      });
      expect(user.done).toEqual(done);
    }
  });

  test('services: a node that does not work proves nothing for anybody', async () => {
    const { services, refusals, done, asked } = played(true, 'user');
    refusals.set('decrypt', 0);
    await expect(services.answer(gatewayRequest, never)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect([done, asked]).toEqual([[], ['decrypt']]);
  });

  test('services: a batch is signed and leaves only while the node works', async () => {
    for (const [left, done] of [
      [0, []],
      [1, ['sign']],
    ] as const) {
      const { services, refusals, done: did } = played(true);
      refusals.set('decrypt', left);
      const signing = services.signBatch({ epoch: 1n, leaves: [bytes] }, never);
      await expect(signing).rejects.toMatchObject({ code: 'UNAVAILABLE' });
      expect(did).toEqual(done);
    }
    const without = played(false).services.signBatch({ epoch: 1n, leaves: [bytes] }, never);
    await expect(without).rejects.toMatchObject({ code: 'BAD_INPUT' });
  });

  test('services: what a command came to leaves only while the node works', async () => {
    for (const [left, done, steps] of [
      [0, [], 0],
      [1, ['carryOut'], 0],
      [2, ['carryOut'], 1],
    ] as const) {
      const { services, refusals, done: did } = played(true);
      refusals.set('generate-key', left);
      const seen: unknown[] = [];
      const carryingOut = (async () => {
        for await (const step of services.carryOut(gatewayRequest, never)) seen.push(step);
      })();
      await expect(carryingOut).rejects.toMatchObject({ code: 'UNAVAILABLE' });
      expect([did, seen.length]).toEqual([done, steps]);
    }
  });
});
