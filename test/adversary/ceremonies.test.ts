import { describe, expect, test } from 'vitest';
import type * as ceremoniesModule from '../../enclave/ceremonies.ts';
import type * as earlyModule from '../../enclave/early-ceremony-messages.ts';
import { committee } from '../../shared/committee.ts';
import { codeOf } from '../../shared/errors.ts';
import { type Digest, digest, type PartyId, partyId } from '../../shared/ids.ts';
import type * as kernelModule from '../../shared/math/kernel/kernel.ts';
import { Kernel } from '../../shared/math/kernel/kernel.ts';
import type { FinishedKey, KeyGeneration } from '../../shared/protocol/keygen/keygen.ts';
import { keygenMessage } from '../../shared/protocol/keygen/messages.ts';
import { requestPurpose } from '../../shared/protocol/keygen/request.ts';
import type { Membership } from '../../shared/protocol/machine.ts';
import { peerMessage } from '../../shared/protocol/peer-message.ts';
import { agreementMessage } from '../../shared/protocol/session/messages.ts';
import { decode } from '../../shared/wire/codec.ts';
import { keygenFactory, testRequest } from '../simulator/committee-keys.ts';
import { MemoryStore } from '../simulator/memory-store.ts';
import { seededRng } from '../simulator/random.ts';
import { memberships, Simulation } from '../simulator/simulation.ts';
import { attackBoth } from './mutant.ts';

type Load = <Module>(file: string) => Promise<Module>;

const CEREMONIES = 'enclave/ceremonies.ts';
const EARLY = 'enclave/early-ceremony-messages.ts';
const kernel = await Kernel.load();
const [one, two, three] = [1, 2, 3].map((id) => partyId(id)) as [PartyId, PartyId, PartyId];

/** A store that answers when it is told to: the time between a restart and what the disk says. */
class SlowStore extends MemoryStore {
  readonly #gate = Promise.withResolvers<void>();

  open(): void {
    this.#gate.resolve();
  }

  override async list(prefix: string): Promise<readonly string[]> {
    await this.#gate.promise;
    return super.list(prefix);
  }
}

/** All ceremonies of a node that has just restarted with this disk. */
async function restarted(load: Load, membership: Membership, disk: ReadonlyMap<string, Uint8Array>) {
  const { Ceremonies } = await load<typeof ceremoniesModule>(CEREMONIES);
  const { Kernel: LoadedKernel } = await load<typeof kernelModule>('shared/math/kernel/kernel.ts');
  const store = new SlowStore(disk);
  const sent: Uint8Array[] = [];
  const keys: FinishedKey[] = [];
  const failures: string[] = [];
  const ceremonies = new Ceremonies(
    membership,
    { kernel: await LoadedKernel.load(), rng: seededRng('life 2'), roundMs: 1000, openingMs: 10_000 },
    {
      store,
      send: (_, payload) => sent.push(payload),
      nowMs: Date.now,
      onKey: (finished) => keys.push(finished),
      onFailure: (error) => failures.push(codeOf(error)),
      onWrongShares: () => {},
    },
  );
  return { ceremonies, store, sent, keys, failures };
}

const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 50));

/** Attempts for which a starter asks for nonces. */
function attemptsBegun(sent: readonly Uint8Array[]): readonly number[] {
  return sent.flatMap((payload) => {
    const message = decode(peerMessage, payload);
    if (message.kind !== 'keygen') return [];
    const inner = decode(keygenMessage, message.body);
    if (inner.kind !== 'agreement') return [];
    const agreement = decode(agreementMessage, inner.body);
    return agreement.kind === 'nonce-request' ? [agreement.attempt] : [];
  });
}

/** Party 1 has signed the record of attempt 0, nobody else's signature has reached it, and it crashes. */
function signedAlone(): { readonly membership: Membership; readonly disk: Map<string, Uint8Array> } {
  const hide = (delivery: { to: PartyId; message: Uint8Array }): boolean =>
    delivery.to === one && /^key-/.test(decode(keygenMessage, delivery.message).kind);
  const sim = new Simulation<KeyGeneration>({
    n: 4,
    t: 1,
    seed: 'window',
    factory: keygenFactory(kernel),
    rules: [(delivery) => (hide(delivery) ? [] : [delivery])],
  });
  sim.start();
  expect(sim.run(() => (sim.machine(one)?.pending.length ?? 0) > 0, 30_000)).toBe(true);
  return { membership: sim.membership(one), disk: sim.disk(one) };
}

describe('the window between a restart and the disk', () => {
  test('ceremonies: a request that comes at once does not begin an attempt whose record this party has signed', async () => {
    const { membership, disk } = signedAlone();
    const outcome = await attackBoth(
      'request-before-load',
      [
        {
          file: CEREMONIES,
          find: 'presetFor(this.#membership.networkId, request.preset);\n    await this.#loaded.promise;',
          replace: 'presetFor(this.#membership.networkId, request.preset);',
        },
      ],
      async (load) => {
        const { ceremonies, store, sent } = await restarted(load, membership, disk);
        const gone = new AbortController();
        const asked = (async () => {
          for await (const _ of ceremonies.generate(testRequest, gone.signal));
        })();
        const loading = ceremonies.load().catch(() => undefined);
        await settled();
        // Two sessions under one key id: two records of one key, both signed by this party.
        const isBegun = attemptsBegun(sent).includes(0);
        store.open();
        await loading;
        await settled();
        gone.abort();
        await asked;
        ceremonies.stop();
        return isBegun || attemptsBegun(sent).includes(0);
      },
    );
    expect(outcome).toEqual({ withRule: false, withoutRule: true });
  });

  test('ceremonies: an introduction that comes at once does not displace what the disk knows of the key', async () => {
    const sim = new Simulation<KeyGeneration>({ n: 4, t: 1, seed: 'intro', factory: keygenFactory(kernel) });
    sim.start();
    sim.run(() => sim.machine(one)?.finished !== undefined && sim.machine(two)?.finished !== undefined);
    const membership = sim.membership(one);
    const purpose = requestPurpose(membership, testRequest);
    const [introduction] = sim.machine(two)?.introductions() ?? [];
    if (introduction === undefined) throw new Error('nothing to introduce');
    const outcome = await attackBoth(
      'introduction-before-load',
      [
        {
          file: CEREMONIES,
          find: 'if (request !== undefined) {\n      await this.#loaded.promise;',
          replace: 'if (request !== undefined) {',
        },
      ],
      async (load) => {
        const { ceremonies, store, keys } = await restarted(load, membership, sim.disk(one));
        const received = ceremonies.receive(two, purpose, introduction);
        const loading = ceremonies.load().then(
          () => true,
          () => false,
        );
        await settled();
        store.open();
        const isLoaded = await loading;
        await received;
        await settled();
        ceremonies.stop();
        return !isLoaded || keys.at(-1)?.seeds === undefined;
      },
    );
    expect(outcome).toEqual({ withRule: false, withoutRule: true });
  });

  test('ceremonies: when the disk cannot be read, requests fail and nothing is said', async () => {
    const { membership, disk } = signedAlone();
    const real: Load = (file) => import(/* @vite-ignore */ `../../${file}`);
    const broken = new Map(disk);
    const [name] = [...broken.keys()].filter((one) => one.endsWith('/record'));
    broken.set(name ?? '', new Uint8Array(5));
    const { ceremonies, store, sent } = await restarted(real, membership, broken);
    store.open();
    const first = ceremonies.generate(testRequest, new AbortController().signal)[Symbol.asyncIterator]();
    const failed = first.next().then(
      () => 'answered',
      (error: unknown) => codeOf(error),
    );
    await expect(ceremonies.load()).rejects.toMatchObject({ code: 'BAD_ENCODING' });
    expect(await failed).toBe('BAD_ENCODING');
    expect(sent).toEqual([]);
    ceremonies.stop();
  });
});

describe('introductions', () => {
  test('ceremonies: introductions of keys that do not exist are verified a few times, then not any more', async () => {
    const sim = new Simulation<KeyGeneration>({ n: 4, t: 1, seed: 'intro', factory: keygenFactory(kernel) });
    sim.start();
    sim.run(() => sim.machine(one)?.finished !== undefined && sim.machine(two)?.finished !== undefined);
    const [introduction] = sim.machine(two)?.introductions() ?? [];
    if (introduction === undefined) throw new Error('nothing to introduce');
    const forged = introduction.with(introduction.length - 1, introduction.at(-1)! ^ 1);
    const outcome = await attackBoth(
      'introductions-unbounded',
      [
        {
          file: 'shared/protocol/forgeries.ts',
          find: 'if (!this.#allowance.has(party, nowMs)) return undefined;',
          replace: '',
        },
      ],
      async (load) => {
        let refused = 0;
        const real = sim.membership(one);
        const verify: typeof real.primitives.verify = (...signed) => {
          const isValid = real.primitives.verify(...signed);
          if (!isValid) refused++;
          return isValid;
        };
        const membership = { ...real, primitives: { ...real.primitives, verify } };
        const { ceremonies, store, keys } = await restarted(load, membership, new Map());
        store.open();
        await ceremonies.load();
        const purpose = requestPurpose(real, testRequest);
        for (let i = 0; i < 100; i++) await ceremonies.receive(three, purpose, forged);
        // Another peer's true introduction still counts.
        await ceremonies.receive(two, purpose, introduction);
        await ceremonies.receive(two, purpose, introduction);
        ceremonies.stop();
        expect(keys).toEqual([]);
        // Sixteen before the request is known, sixteen of those kept for it.
        return refused > 32;
      },
    );
    expect(outcome).toEqual({ withRule: false, withoutRule: true });
  });
});

describe('messages about requests that the node has not been given', () => {
  const purposes = ['aa', 'bb'].map((byte) => digest(byte.repeat(32))) as [Digest, Digest];
  const [wanted, other] = purposes;

  test.each([
    ['body', 1 << 20, 100],
    ['number', 0, 100_000],
  ])('early messages: of one peer at most 16 MiB are kept, by their %s', async (_, sizeBytes, count) => {
    const body = new Uint8Array(sizeBytes);
    const outcome = await attackBoth(
      'early-unbounded',
      [{ file: EARLY, find: 'before.sizeBytes + sizeBytes > MAX_BYTES_PER_PEER', replace: 'false' }],
      async (load) => {
        const { EarlyCeremonyMessages } = await load<typeof earlyModule>(EARLY);
        const early = new EarlyCeremonyMessages();
        for (let i = 0; i < count; i++) early.keep(one, i % 2 === 0 ? wanted : other, body);
        early.keep(two, wanted, new Uint8Array([7]));
        const kept = [...early.take(wanted), ...early.take(other)];
        // Whoever floods costs no other peer its messages, and its own last one is kept.
        expect(kept.filter(([from]) => from === two)).toEqual([[two, new Uint8Array([7])]]);
        expect(kept.filter(([from]) => from === one).length).toBeGreaterThan(0);
        const keptBytes = kept.reduce((sum, [, one]) => sum + one.length + 256, 0);
        return keptBytes > (16 << 20) + 257;
      },
    );
    expect(outcome).toEqual({ withRule: false, withoutRule: true });
  });

  test('early messages: are taken once, per request, in order', async () => {
    const { EarlyCeremonyMessages } = await import('../../enclave/early-ceremony-messages.ts');
    const early = new EarlyCeremonyMessages();
    const body = (i: number) => new Uint8Array([i]);
    for (let i = 0; i < 4; i++) early.keep(one, i % 2 === 0 ? wanted : other, body(i));
    expect(early.take(wanted)).toEqual([
      [one, body(0)],
      [one, body(2)],
    ]);
    expect(early.take(wanted)).toEqual([]);
    expect(early.take(other).length).toBe(2);
  });

  test('early messages: reach the machine when the request comes', async () => {
    const all = memberships(committee(4, 1), 'early');
    const membership = all.get(one);
    if (membership === undefined) throw new Error('no party 1');
    const load: Load = (file) => import(/* @vite-ignore */ `../../${file}`);
    const { ceremonies, store, sent } = await restarted(load, membership, new Map());
    store.open();
    await ceremonies.load();
    // Party 2 is the starter of attempt 1 and asks before party 1 knows of the request.
    const { encode } = await import('../../shared/wire/codec.ts');
    const asked = encode(agreementMessage, { kind: 'nonce-request', attempt: 1 });
    const body = encode(keygenMessage, { kind: 'agreement', body: asked });
    await ceremonies.receive(two, requestPurpose(membership, testRequest), body);
    expect(sent).toEqual([]);
    const gone = new AbortController();
    const running = (async () => {
      for await (const _ of ceremonies.generate(testRequest, gone.signal));
    })();
    await settled();
    gone.abort();
    await running;
    ceremonies.stop();
    const replies = sent.flatMap((payload) => {
      const message = decode(peerMessage, payload);
      const inner = message.kind === 'keygen' ? decode(keygenMessage, message.body) : undefined;
      return inner?.kind === 'agreement' ? [decode(agreementMessage, inner.body).kind] : [];
    });
    expect(replies).toContain('nonce-reply');
  });
});
