import { describe, expect, test } from 'vitest';
import { epochId, type PartyId, partyId } from '../../shared/ids.ts';
import type { Residues } from '../../shared/math/ring.ts';
import type * as publicModule from '../../shared/protocol/decryption/public-decryption.ts';
import { decryptionScope, PublicDecryption } from '../../shared/protocol/decryption/public-decryption.ts';
import type { DecryptionTask } from '../../shared/protocol/decryption/task.ts';
import type { Membership } from '../../shared/protocol/machine.ts';
import { signShare } from '../../shared/protocol/opening/opening.ts';
import { seededRng } from '../simulator/random.ts';
import { certifiedKey } from './certified-key.ts';
import { attackBoth } from './mutant.ts';

const key = await certifiedKey();
const [reader, second, third, liar] = key.parties.map((id) => partyId(id)) as [
  PartyId,
  PartyId,
  PartyId,
  PartyId,
];
const decryptors = new Map(key.parties.map((id) => [id, key.decryptor(id)]));
const values = BigUint64Array.from({ length: 4096 }, (_, i) => BigInt((i * i + 7) % 1032193));
const vector = { kind: 'vector', values } as const;
const scalar = { kind: 'scalar', value: 41n } as const;
const tasks = { vector: key.task(key.encrypt(vector)), scalar: key.task(key.encrypt(scalar)) };
const expected = { vector, scalar };

const OPENING = 'shared/protocol/opening/opening.ts';

interface SignedShare {
  readonly share: Residues;
  readonly signature: Uint8Array;
}

function honest(party: PartyId, task: DecryptionTask): SignedShare {
  return signed(key.membership(party), task, decryptors.get(party)!.partial(task));
}

/** What a party with this membership signs for this task, right or wrong. */
function signed(membership: Membership, task: DecryptionTask, share: Residues): SignedShare {
  return { share, signature: signShare(membership, decryptionScope(membership, task), share) };
}

/** A share off by one in one word, signed by its party: a provable lie. */
function lie(party: PartyId, task: DecryptionTask, at = 0): SignedShare {
  const share = honest(party, task).share.slice();
  share[at] = share[at] === 0n ? 1n : share[at]! - 1n;
  return signed(key.membership(party), task, share);
}

/** One party's decryption, its own share counted. */
function opened(task: DecryptionTask, Decryption = PublicDecryption): PublicDecryption {
  const membership = key.membership(reader);
  const decryption = new Decryption(membership, task, decryptors.get(reader)!.ring, seededRng('decode'));
  decryption.contribute(honest(reader, task).share);
  return decryption;
}

function give(decryption: PublicDecryption, party: PartyId, { share, signature }: SignedShare): void {
  decryption.receive(party, share, signature);
}

describe.each(['scalar', 'vector'] as const)('public decryption of a %s', (kind) => {
  const task = tasks[kind];
  const last = kind === 'scalar' ? 1 : task.c0.length - 1;

  test('decryption: four honest shares give what node-seal encrypted and name nobody', () => {
    const decryption = opened(task);
    for (const party of [second, third, liar]) give(decryption, party, honest(party, task));
    expect(decryption.value).toEqual(expected[kind]);
    expect(decryption.culprits).toEqual([]);
  });

  test('decryption: every order and subset of 2t + 1 shares gives the same value', () => {
    for (const subset of [
      [second, third],
      [liar, second],
      [third, liar],
    ]) {
      const decryption = opened(task);
      for (const party of subset) give(decryption, party, honest(party, task));
      expect(decryption.value).toEqual(expected[kind]);
    }
  });

  test.each([0, last])(
    'decryption: a signed share wrong in word %i changes nothing and names its party',
    (at) => {
      const decryption = opened(task);
      give(decryption, liar, lie(liar, task, at));
      give(decryption, second, honest(second, task));
      expect(decryption.value).toBeUndefined();
      expect(decryption.culprits).toEqual([]);
      give(decryption, third, honest(third, task));
      expect(decryption.value).toEqual(expected[kind]);
      expect(decryption.culprits).toEqual([liar]);
    },
  );

  test('decryption: a signed wrong share that comes after the value still names its party', () => {
    const decryption = opened(task);
    for (const party of [second, third]) give(decryption, party, honest(party, task));
    expect(decryption.value).toEqual(expected[kind]);
    expect(decryption.culprits).toEqual([]);
    give(decryption, liar, lie(liar, task, last));
    expect(decryption.culprits).toEqual([liar]);
    expect(decryption.value).toEqual(expected[kind]);
  });

  test('decryption: unsigned garbage names nobody and does not take the place of the real share', () => {
    const decryption = opened(task);
    const { share, signature } = honest(second, task);
    const garbage = [
      { share: share.map((word) => word ^ 1n), signature },
      { share, signature: new Uint8Array(64) },
      { share, signature: new Uint8Array(0) },
      { share: new BigUint64Array(0), signature },
      { share: new BigUint64Array(70_000), signature },
    ];
    for (const one of garbage) give(decryption, second, one);
    give(decryption, partyId(9), { share, signature });
    expect(decryption.heard).toEqual([reader]);
    for (const party of [second, third]) give(decryption, party, honest(party, task));
    expect(decryption.value).toEqual(expected[kind]);
    expect(decryption.culprits).toEqual([]);
  });

  test('decryption: a signed share of a wrong length or with unreduced residues names its party', () => {
    const { share } = honest(liar, task);
    const unreduced = share.slice();
    unreduced[last] = 2n ** 64n - 1n;
    for (const bad of [
      new BigUint64Array(0),
      share.slice(1),
      new BigUint64Array(share.length + 1),
      unreduced,
    ]) {
      const decryption = opened(task);
      give(decryption, liar, signed(key.membership(liar), task, bad));
      expect(decryption.heard).toEqual([reader, liar]);
      expect(decryption.culprits).toEqual([]);
      for (const party of [second, third]) give(decryption, party, honest(party, task));
      expect(decryption.value).toEqual(expected[kind]);
      expect(decryption.culprits).toEqual([liar]);
    }
  });

  test('decryption: a share signed for another ciphertext, kind, key or epoch is not heard', () => {
    const other = key.task(key.encrypt(kind === 'scalar' ? { ...scalar, value: 3n } : vector));
    const membership = key.membership(second);
    const { share } = honest(second, task);
    const replayed = [
      honest(second, other),
      signed(membership, other, share),
      signed(membership, { ...task, kind: kind === 'scalar' ? 'vector' : 'scalar' }, share),
      signed(membership, { ...task, key: task.ciphertext as unknown as typeof task.key }, share),
      signed({ ...membership, epoch: epochId(1) }, task, share),
      signed({ ...membership, networkId: task.ciphertext }, task, share),
      signed(key.membership(third), task, share),
    ];
    const decryption = opened(task);
    for (const one of replayed) give(decryption, second, one);
    expect(decryption.heard).toEqual([reader]);
    give(decryption, second, honest(second, task));
    expect(decryption.heard).toEqual([reader, second]);
  });

  test('decryption: fewer than 2t + 1 shares give no value, the share that comes later does', () => {
    const decryption = opened(task);
    expect(decryption.value).toBeUndefined();
    give(decryption, liar, honest(liar, task));
    give(decryption, liar, honest(liar, task));
    expect(decryption.value).toBeUndefined();
    expect(decryption.heard).toEqual([reader, liar]);
    give(decryption, third, honest(third, task));
    expect(decryption.value).toEqual(expected[kind]);
  });
});

describe('rules of an opening', () => {
  const task = tasks.scalar;

  test('opening: without the signature check an honest party would be named for what it never sent', async () => {
    const outcome = await attackBoth(
      'unsigned-shares',
      [
        {
          file: OPENING,
          find: 'if (!isSignedShare(this.#membership, this.#scope, from, share, signature)) return;',
          replace: 'void signature;',
        },
      ],
      async (load) => {
        const decryption = await openedWith(load);
        give(decryption, second, { share: lie(second, task).share, signature: new Uint8Array(64) });
        for (const party of [third, liar]) give(decryption, party, honest(party, task));
        expect(decryption.value).toEqual(scalar);
        return decryption.culprits.includes(second);
      },
    );
    expect(outcome).toEqual({ withRule: false, withoutRule: true });
  });

  test('opening: without the scope in the signature a replayed share would name an honest party', async () => {
    const other = key.task(key.encrypt({ ...scalar, value: 3n }));
    const outcome = await attackBoth(
      'scopeless-shares',
      [
        {
          file: 'shared/protocol/decryption/public-decryption.ts',
          find: ', of.networkId, of.epoch, key, ciphertext);',
          replace: ', of.networkId, of.epoch, key, ciphertext.slice(64));',
        },
      ],
      async (load) => {
        const module = await load<typeof publicModule>('shared/protocol/decryption/public-decryption.ts');
        const membership = key.membership(second);
        const share = decryptors.get(second)!.partial(other);
        const replay = {
          share,
          signature: signShare(membership, module.decryptionScope(membership, other), share),
        };
        const decryption = opened(task, module.PublicDecryption);
        give(decryption, second, replay);
        for (const party of [third, liar]) {
          const own = decryptors.get(party)!.partial(task);
          const by = key.membership(party);
          const signature = signShare(by, module.decryptionScope(by, task), own);
          give(decryption, party, { share: own, signature });
        }
        expect(decryption.value).toEqual(scalar);
        return decryption.culprits.includes(second);
      },
    );
    expect(outcome).toEqual({ withRule: false, withoutRule: true });
  });

  test('opening: with t + 1 shares instead of 2t + 1 one liar would choose the result', async () => {
    const outcome = await attackBoth(
      'short-quorum',
      [{ file: 'shared/committee.ts', find: 'decodingQuorum: 2 * t + 1', replace: 'decodingQuorum: t + 1' }],
      async (load) => {
        const { committee } = await load<typeof import('../../shared/committee.ts')>('shared/committee.ts');
        const membership = { ...key.membership(reader), committee: committee(4, 1) };
        const ring = decryptors.get(reader)!.ring;
        const decryption = new PublicDecryption(membership, task, ring, seededRng('decode'));
        decryption.contribute(honest(reader, task).share);
        give(decryption, liar, lie(liar, task));
        const { value } = decryption;
        return value?.kind === 'scalar' && value.value !== scalar.value;
      },
    );
    expect(outcome).toEqual({ withRule: false, withoutRule: true });
  });

  test('opening: if a later share replaced the first, a liar could take its lie back', async () => {
    const outcome = await attackBoth(
      'replaced-shares',
      [
        {
          file: OPENING,
          find: 'if (this.hasHeard(from)) return;',
          replace: '',
        },
      ],
      async (load) => {
        const decryption = await openedWith(load);
        give(decryption, liar, lie(liar, task));
        give(decryption, second, honest(second, task));
        give(decryption, liar, honest(liar, task));
        give(decryption, third, honest(third, task));
        return !decryption.culprits.includes(liar);
      },
    );
    expect(outcome).toEqual({ withRule: false, withoutRule: true });
  });

  async function openedWith(load: <Module>(file: string) => Promise<Module>): Promise<PublicDecryption> {
    const module = await load<typeof publicModule>('shared/protocol/decryption/public-decryption.ts');
    return opened(task, module.PublicDecryption);
  }
});
