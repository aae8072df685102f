import { describe, expect, it } from 'vitest';
import type * as OwnStateFile from '../../../enclave/membership/own-state.ts';
import type * as MemoryFile from '../../../enclave/membership/peer-memory.ts';
import type * as StandingFile from '../../../enclave/membership/standing.ts';
import type { Line } from '../../../enclave/net/line.ts';
import { nodePrimitives, systemRng } from '../../../enclave/primitives.ts';
import { codeOf } from '../../../shared/errors.ts';
import { digest, epochId, keyId, partyId } from '../../../shared/ids.ts';
import { silent } from '../../../shared/log.ts';
import { signIncarnation, tlsKeyOf } from '../../../shared/membership/incarnation.ts';
import { NODE_SCOPE, type Scope, scopeName } from '../../../shared/sealing/scope.ts';
import { signStateRecord } from '../../../shared/sealing/state-record.ts';
import { mockTrust } from '../../simulator/attested.ts';
import { MemoryStore } from '../../simulator/memory-store.ts';
import type * as NetworkFile from '../../simulator/sealed-network.ts';
import { OWNER, parties } from '../../simulator/sealed-network.ts';
import { pause } from '../membership/live-nodes.ts';
import { attackBoth, type Edit } from '../mutant.ts';

const MEMORY = 'enclave/membership/peer-memory.ts';
const OWN = 'enclave/membership/own-state.ts';
const STANDING = 'enclave/membership/standing.ts';
const NETWORK = 'test/simulator/sealed-network.ts';
const owner = parties.get(OWNER)!;
const [two, three] = [partyId(2), partyId(3)] as const;
const held = digest('aa'.repeat(32));
const both = { withRule: false, withoutRule: true };

type Memory = Awaited<ReturnType<typeof MemoryFile.PeerMemory.open>>;

/** Party 3 keeps things for party 1. */
async function keeping(
  name: string,
  edits: readonly Edit[],
  attack: (memory: Memory, store: MemoryStore) => Promise<boolean>,
): Promise<void> {
  const outcome = await attackBoth(name, edits, async (load) => {
    const { PeerMemory } = await load<typeof MemoryFile>(MEMORY);
    const store = new MemoryStore();
    return attack(await PeerMemory.open(parties.get(three)!, store), store);
  });
  expect(outcome).toEqual(both);
}

const record = (version: number, incarnation: number, by = owner) =>
  signStateRecord(by, { version, incarnation, digest: held });

async function isHeld(announced: () => Promise<MemoryFile.StateVerdict>): Promise<boolean> {
  return (await (async () => announced())().catch(() => undefined))?.kind === 'held';
}

describe('attack on what peers keep', () => {
  const own = 'const isOwn = record.party === from && record.incarnation === incarnation;';

  it('memory: a peer announces a state for another one', () =>
    keeping(
      'for-another',
      [{ file: MEMORY, find: own, replace: 'const isOwn = record.incarnation === incarnation;' }],
      async (memory) => {
        await memory.announced(OWNER, 1, record(3, 1));
        // Under its own name it displaces what is kept for the victim's, or makes itself a record that is not its own.
        return isHeld(() => memory.announced(two, 1, record(4, 1)));
      },
    ));

  it('memory: a process announces under the number of another boot', () =>
    keeping(
      'other-boot',
      [{ file: MEMORY, find: own, replace: 'const isOwn = record.party === from;' }],
      (memory) => isHeld(() => memory.announced(OWNER, 1, record(4, 2))),
    ));

  it('memory: a record that its owner did not sign', () =>
    keeping(
      'unsigned',
      [
        {
          file: MEMORY,
          find: '!isOwn || !isStateRecord(this.#membership, record)',
          replace: '!isOwn || isStateRecord === undefined',
        },
      ],
      (memory) => isHeld(() => memory.announced(OWNER, 1, { ...record(4, 1), version: 5 })),
    ));

  it('memory: an older state of the owner, from its own process', () =>
    keeping(
      'goes-back',
      [{ file: MEMORY, find: 'if (!isNewer(record, known))', replace: 'if (!isNewer(record, undefined))' }],
      async (memory) => {
        await memory.announced(OWNER, 1, record(9, 1));
        const verdict = await memory.announced(OWNER, 2, record(8, 2));
        if (verdict.kind === 'refused') expect(verdict.highest.version).toBe(9);
        return (await memory.recall(OWNER)).state?.version === 8;
      },
    ));

  it('memory: acknowledged before it is durable', () =>
    keeping(
      'undurable-state',
      [
        {
          file: MEMORY,
          find: 'await this.#store.put(stateName(from)',
          replace: 'void this.#store.put(stateName(from)',
        },
      ],
      async (memory, store) => {
        store.put = () => new Promise(() => {});
        const verdict = memory.announced(OWNER, 1, record(9, 1)).then(() => true);
        return Promise.race([verdict, pause(50).then(() => false)]);
      },
    ));

  it('memory: more scopes than there can be keys', () =>
    keeping(
      'scopes-without-end',
      [{ file: MEMORY, find: 'scopes.size >= MAX_SCOPES', replace: 'scopes.size >= 1e9 * MAX_SCOPES' }],
      async (memory) => {
        const share = systemRng(32);
        const scope = (i: number): Scope => ({
          ...{ kind: 'key', epoch: epochId(0) },
          key: keyId(i.toString(16).padStart(64, '0')),
        });
        for (let i = 0; i < 4096; i++) await memory.dealt(OWNER, scope(i), share);
        const code = await memory.dealt(OWNER, scope(5000), share).then(() => 'held', codeOf);
        // Others are not touched, what is there may change, and what goes makes room.
        await memory.dealt(two, NODE_SCOPE, share);
        await memory.dealt(OWNER, scope(7), systemRng(32));
        await memory.erase(OWNER, scope(7));
        await memory.dealt(OWNER, scope(6000), share);
        if (code !== 'held') expect(code).toBe('BUSY');
        return code === 'held';
      },
    ));
});

describe('attack on what a node believes of its own state', () => {
  const state = { version: 5, digest: held };

  async function believing(
    name: string,
    edits: readonly Edit[],
    attack: (own: OwnStateFile.OwnState, acknowledge: () => void) => boolean | Promise<boolean>,
  ): Promise<void> {
    const outcome = await attackBoth(name, edits, async (load) => {
      const { OwnState } = await load<typeof OwnStateFile>(OWN);
      let incarnation: number | undefined;
      const own = new OwnState(owner, state, {
        ...{ tell: () => {}, lines: () => [], onHeld: () => {} },
        incarnation: () => incarnation,
      });
      return attack(own, () => {
        incarnation = 3;
        own.refresh();
      });
    });
    expect(outcome).toEqual(both);
  }

  it('own state: a peer shows an old record to a node that has announced nothing yet', () =>
    believing(
      'old-refusal',
      [
        {
          file: OWN,
          find: 'this.#record === undefined ? highest.version > this.#state.version : isNewer(highest, this.#record);',
          replace: 'this.#record === undefined || isNewer(highest, this.#record);',
        },
      ],
      (own) => {
        void own.announce(state);
        own.refused(record(4, 1));
        const isFooled = own.isOvertaken;
        // A later one counts at any time.
        own.refused(record(6, 1));
        expect(own.isOvertaken).toBe(true);
        return isFooled;
      },
    ));

  it('own state: a peer makes up a later record', () =>
    believing(
      'made-up-refusal',
      [
        {
          file: OWN,
          find: 'if (highest.party !== self || !isStateRecord(this.#membership, highest)) return;',
          replace: 'if (self === undefined || isStateRecord === undefined) return;',
        },
      ],
      (own, acknowledge) => {
        void own.announce(state);
        acknowledge();
        own.refused({ ...record(9, 9), signature: systemRng(64) });
        own.refused(record(9, 9, parties.get(two)!));
        return own.isOvertaken;
      },
    ));

  it('own state: words about another record count as if they were about this one', () =>
    believing(
      'other-record-held',
      [
        {
          file: OWN,
          find: 'if (this.#record === undefined || !isSameState(record, this.#record)) return;',
          replace: 'if (this.#record === undefined || isSameState === undefined) return;',
        },
      ],
      async (own, acknowledge) => {
        const inEffect = own.announce(state).then(() => true);
        acknowledge();
        for (const party of [two, three]) own.held(party, record(4, 3));
        return Promise.race([inEffect, pause(20).then(() => false)]);
      },
    ));

  it('own state: one peer says it twice', () =>
    believing(
      'held-twice',
      [
        {
          file: OWN,
          find: 'readonly #holders = new Set<PartyId>();',
          replace:
            'readonly #holders = new (class { size = 0; has() { return false; } clear() { this.size = 0; } add() { this.size += 1; return this; } })();',
        },
      ],
      async (own, acknowledge) => {
        const inEffect = own.announce(state).then(() => true);
        acknowledge();
        for (let i = 0; i < 3; i++) own.held(two, record(5, 3));
        return Promise.race([inEffect, pause(20).then(() => false)]);
      },
    ));
});

describe('attack on erasure and on who speaks', () => {
  it('erasure: a scope that is dealt anew is asked back, because it was to be erased before', async () => {
    const edits = [
      {
        file: 'enclave/sealing/node-seal.ts',
        find: ' || this.scopes.isUsed(scopeName(scope))',
        replace: ' || (scopeName(scope) === "" && this.scopes.isUsed(""))',
      },
    ];
    const outcome = await attackBoth('asked-back', edits, async (load) => {
      const { SealedNetwork } = await load<typeof NetworkFile>(NETWORK);
      const network = await SealedNetwork.create();
      network.dealMs = 200;
      const process = await network.found(new Map([['node/identity', new Uint8Array(32)]]));
      const [first, second] = ['a1', 'b2'].map((byte) => `keys/${byte.repeat(32)}/seeds`) as [string, string];
      await process.state.put(first, Uint8Array.of(1));
      await process.state.put(second, Uint8Array.of(1));
      // One holder is away, so the erasure of the first is not complete, and a new half waits for it.
      network.down.add(partyId(4));
      await process.state.delete(first);
      await network.settled();
      const renewed = process.state.put(first, Uint8Array.of(2)).then(() => true);
      await pause(50);
      await process.state.delete(second);
      const isThere = await Promise.race([renewed, pause(1_000).then(() => false)]);
      await network.settled();
      const kept = (await network.recall(two)).shares.map(({ scope }) => scopeName(scope));
      process.seal.close();
      return !isThere || !kept.some((name) => name.includes('a1a1'));
    });
    expect(outcome).toEqual(both);
  });

  it('standing: an old process of a member deals and announces beside its later one', async () => {
    const edits = [
      {
        file: STANDING,
        find: 'if (number === undefined || !this.isCurrent(line)) {',
        replace: 'if (number === undefined) {',
      },
    ];
    const outcome = await attackBoth('old-process', edits, async (load) => {
      const { Standing } = await load<typeof StandingFile>(STANDING);
      let heard = 0;
      const standing = await Standing.open(parties.get(three)!, {
        seal: {
          receive: async () => {
            heard += 1;
          },
          onLine: () => {},
        },
        ...{ store: new MemoryStore(), rng: systemRng, log: silent, trust: mockTrust(owner.networkId) },
        ...{ nowMs: Date.now, spki: systemRng(91), document: async () => new Uint8Array(1), lines: () => [] },
        ...{ isAdmitted: () => true, mayEnrol: () => true, onChange: () => {}, domain: undefined },
      });
      const [old, later] = [1, 2].map((number) => {
        const spki = systemRng(91);
        const fake: Partial<Line> = {
          ...{ party: OWNER, tell: () => {}, admit: () => {} },
          node: { spki, identity: owner.signer.publicKey } as Line['node'],
        };
        const tlsKey = tlsKeyOf(nodePrimitives, spki);
        return { line: fake as Line, record: signIncarnation(owner, number, tlsKey) };
      });
      for (const { line, record: one } of [old!, later!]) {
        await standing.receive(line, { kind: 'incarnation', record: one });
        await standing.receive(line, { kind: 'half-erasing', scope: NODE_SCOPE });
      }
      expect(heard).toBe(2);
      const share = systemRng(32);
      const refused = await standing
        .receive(old!.line, { kind: 'half-dealt', scope: NODE_SCOPE, share })
        .then(() => 'heard', codeOf);
      if (refused !== 'heard') expect(refused).toBe('BAD_PEER');
      return heard > 2;
    });
    expect(outcome).toEqual(both);
  });
});
