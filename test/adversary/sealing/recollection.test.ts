import { describe, expect, it } from 'vitest';
import type { Recollection } from '../../../enclave/membership/peer-memory.ts';
import { codeOf } from '../../../shared/errors.ts';
import { type PartyId, partyId } from '../../../shared/ids.ts';
import type * as NetworkFile from '../../simulator/sealed-network.ts';
import { pause } from '../membership/live-nodes.ts';
import { attackBoth, type Edit } from '../mutant.ts';

const NETWORK = 'test/simulator/sealed-network.ts';
const SCOPES = 'enclave/sealing/scopes.ts';
const RECOLLECTIONS = 'enclave/sealing/recollections.ts';
const STORE = 'enclave/store/versioned-store.ts';
const UNSEALING = 'enclave/sealing/unsealing.ts';
const two = partyId(2);
const identity = new Map([['node/identity', new Uint8Array(32).fill(1)]]);

type Network = NetworkFile.SealedNetwork;
/** What the operator, and a peer in his pay, do to a founded node that starts again. @returns true if it has hurt */
type Attack = (network: Network) => Promise<boolean>;

async function against(name: string, edits: readonly Edit[], attack: Attack): Promise<void> {
  const outcome = await attackBoth(name, edits, async (load) => {
    const { SealedNetwork } = await load<typeof NetworkFile>(NETWORK);
    const network = await SealedNetwork.create();
    const owner = await network.found(identity);
    await network.settled();
    owner.seal.close();
    return attack(network);
  });
  expect(outcome).toEqual({ withRule: false, withoutRule: true });
}

/** One peer answers as it likes, honest ones as they must and a little later. */
function told(network: Network, liar: (honest: Recollection) => Recollection) {
  return async (party: PartyId): Promise<Recollection> => {
    const honest = await network.recall(party);
    if (party === two) return liar(honest);
    await pause(20);
    return honest;
  };
}

async function failsToStart(network: Network, recall: (party: PartyId) => Promise<Recollection>) {
  const started = await network.restart(undefined, { recall }).then(
    ({ seal }) => seal,
    () => undefined,
  );
  started?.close();
  return started === undefined;
}

/** The version that a restart ends with; undefined if it refuses. */
async function startsWith(network: Network, recall?: (party: PartyId) => Promise<Recollection>) {
  try {
    const { state, seal } = await network.restart(undefined, recall === undefined ? {} : { recall });
    seal.close();
    return state.state.version;
  } catch {
    return undefined;
  }
}

/** More versions, and then the bucket as it was before. */
async function rollBack(network: Network): Promise<void> {
  const old = network.clouds.get(partyId(1))!.copy();
  const owner = await network.restart();
  await owner.state.put('node/a', Uint8Array.of(1));
  await network.settled();
  owner.seal.close();
  network.clouds.set(partyId(1), old);
}

/** Before its first state is anchored. */
function withoutAnchor(network: Network): void {
  network.anchor.newestState = undefined;
}

describe('attack on a restart', () => {
  it('restart: a release share is altered', () =>
    against(
      'altered-share',
      [{ file: SCOPES, find: ' && dealt.get(party) === digestOf(hashes, value)', replace: '' }],
      (network) =>
        failsToStart(
          network,
          told(network, (honest) => ({
            ...honest,
            shares: honest.shares.map(({ scope, share }) => ({
              scope,
              share: share.map((byte) => byte ^ 1),
            })),
          })),
        ),
    ));

  it('restart: one share is given twice, as if two holders had given it', () =>
    against(
      'share-twice',
      [
        {
          file: SCOPES,
          find: 'return [...new Map(good.map((share) => [share.party, share])).values()];',
          replace: 'return good;',
        },
      ],
      (network) =>
        failsToStart(
          network,
          told(network, (honest) => ({ ...honest, shares: [...honest.shares, ...honest.shares] })),
        ),
    ));

  it('restart: a record that this node did not sign', () =>
    against(
      'unsigned-record',
      [
        {
          file: RECOLLECTIONS,
          find: 'const isOwn = state === undefined || this.#isOwn(state);',
          replace: 'const isOwn = state === undefined || this.#isOwn(state) || true;',
        },
      ],
      (network) =>
        failsToStart(
          network,
          told(network, (honest) => ({ ...honest, state: { ...honest.state!, version: 1_000 } })),
        ),
    ));

  it('restart: the bucket is rolled back, and the first peer to answer knows nothing newer', () =>
    against(
      'not-the-highest',
      [
        {
          file: RECOLLECTIONS,
          find: '(isNewer(one, so) ? one : so)',
          replace: '(isNewer(one, so) ? (so ?? one) : so)',
        },
      ],
      async (network) => {
        const old = await network.recall(two);
        await rollBack(network);
        withoutAnchor(network);
        return (
          (await startsWith(
            network,
            told(network, (now) => ({ ...now, state: old.state })),
          )) === 1
        );
      },
    ));

  it('restart: the bucket is rolled back while peers remember', () =>
    against(
      'rolled-back',
      [
        {
          file: STORE,
          find: 'const shown = known?.version ?? (await newestShown(options));',
          replace: 'known = undefined;\n    const shown = await newestShown(options);',
        },
      ],
      async (network) => {
        await rollBack(network);
        withoutAnchor(network);
        return (await startsWith(network)) === 1;
      },
    ));

  it('restart: another version of the same number than the one that took effect', () =>
    against(
      'other-digest',
      [
        {
          file: STORE,
          find: 'known !== undefined && found.state.digest !== known.digest',
          replace: 'known !== undefined && found.state.digest === undefined',
        },
      ],
      async (network) => {
        // The node writes version 2, and dies before anybody has heard of it; then its bucket is put back, and another one takes effect.
        const first = await network.restart();
        const before = network.clouds.get(partyId(1))!.copy();
        network.rule = () => undefined;
        void first.state.put('node/a', Uint8Array.of(1)).catch(() => undefined);
        await pause(20);
        const fork = network.clouds.get(partyId(1))!.copy();
        first.seal.close();
        network.rule = (_from, _to, message) => message;
        network.clouds.set(partyId(1), before);
        const second = await network.restart();
        await second.state.put('node/a', Uint8Array.of(2));
        await network.settled();
        second.seal.close();
        network.clouds.set(partyId(1), fork);
        withoutAnchor(network);
        return (await startsWith(network)) === 2;
      },
    ));

  const belowAnchor: Edit = {
    file: UNSEALING,
    find: "seal.course?.against(anchored, askedMs) === 'old'",
    replace: "seal.course?.against(anchored, askedMs) === ('none' as never)",
  };

  it('restart: all peers are rolled back with it, and the anchor is not', () =>
    against('below-anchor', [belowAnchor], async (network) => {
      const old = await network.copy();
      await rollBack(network);
      old.anchor.advance(network.anchor.newestState);
      expect(old.anchor.newestState?.version).toBe(2);
      return (await startsWith(old)) === 1;
    }));

  it('restart: after all were rolled back, another state of the version that is anchored', () =>
    against(
      'beside-anchor',
      [
        {
          file: 'enclave/sealing/course.ts',
          find: '!anchored.is(station.digest)',
          replace: '!anchored',
        },
      ],
      async (network) => {
        const old = await network.copy();
        await rollBack(network);
        const before = await old.restart();
        await before.state.put('node/a', Uint8Array.of(2));
        await old.settled();
        before.seal.close();
        old.anchor.newestState = network.anchor.newestState;
        expect(old.anchor.newestState?.version).toBe(2);
        return (await startsWith(old)) === 2;
      },
    ));
});

describe('a share that is taken back', () => {
  it('recollection: what a holder gave first and then did not is waited for from others', () =>
    against(
      'share-taken-back',
      [
        {
          file: UNSEALING,
          find: 'while (!isOpenable(one)) await inquiry.until(() => isOpenable(one));',
          replace: '',
        },
      ],
      async (network) => {
        const asked = new Map<PartyId, number>();
        const { KmsError } = await import('../../../shared/errors.ts');
        const takenBack = Promise.withResolvers<void>();
        const { dataKeys } = network.clouds.get(partyId(1))!;
        // Opening the scope begins with the share, and has to begin again without.
        const opening = async (what: string): Promise<void> => {
          if (what !== 'open' || (asked.get(two) ?? 0) !== 1) return;
          await takenBack.promise;
          throw new KmsError('KMS_UNAVAILABLE', 'away');
        };
        return failsToStart(network, async (party) => {
          const times = (asked.get(party) ?? 0) + 1;
          asked.set(party, times);
          if (times === 1) dataKeys.before = opening;
          const honest = await network.recall(party);
          if (party === partyId(4) && times === 1) await pause(6_000);
          if (party !== two || times === 1) return honest;
          setImmediate(takenBack.resolve);
          return { ...honest, shares: [] };
        });
      },
    ));
});

describe('a restart that waits', () => {
  async function founded(): Promise<Network> {
    const { SealedNetwork } = await import('../../simulator/sealed-network.ts');
    const network = await SealedNetwork.create();
    const owner = await network.found(identity);
    await network.settled();
    owner.seal.close();
    return network;
  }

  it('restart: one withheld share is no matter, two are waited for', async () => {
    const network = await founded();
    const withheld = new Set<PartyId>([two]);
    const recall = async (party: PartyId): Promise<Recollection> => {
      const honest = await network.recall(party);
      return withheld.has(party) ? { ...honest, shares: [] } : honest;
    };
    expect(await startsWith(network, recall)).toBe(1);
    withheld.add(partyId(3));
    const life = new (await import('../../simulator/sealed-network.ts')).Life(1_000);
    const waiting = network.restart(life, { recall }).then(
      () => 'started',
      (error: unknown) => codeOf(error),
    );
    expect(await Promise.race([waiting, pause(300).then(() => 'waits')])).toBe('waits');
    while (life.step());
    expect(await waiting).toBe('SESSION_CLOSED');
  });

  it('restart: with answers of fewer than n-1-t it does not go on, and asks until they come', async () => {
    const network = await founded();
    let failures = 0;
    const recall = async (party: PartyId): Promise<Recollection> => {
      if (party !== two && failures++ < 6) throw new Error('not reachable');
      return network.recall(party);
    };
    expect(await startsWith(network, recall)).toBe(1);
    expect(failures).toBeGreaterThanOrEqual(6);
  });

  it('restart: KMS that is away is asked again, KMS that refuses ends it', async () => {
    const { KmsError } = await import('../../../shared/errors.ts');
    const network = await founded();
    let asked = 0;
    const { dataKeys } = network.clouds.get(partyId(1))!;
    const start = async (code: 'KMS_UNAVAILABLE' | 'KMS_REFUSED', times: number): Promise<unknown> => {
      const restarted = network.restart();
      asked = 0;
      dataKeys.before = (_what, purpose) => {
        if (purpose === 'tier-2/node' && asked++ < times) throw new KmsError(code, 'no');
      };
      const { seal } = await restarted;
      seal.close();
      return asked;
    };
    expect(await start('KMS_UNAVAILABLE', 2)).toBe(3);
    await expect(start('KMS_REFUSED', 1)).rejects.toMatchObject({ code: 'KMS_REFUSED' });
  });
});
