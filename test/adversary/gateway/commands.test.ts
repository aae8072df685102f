import { encodeAbiParameters, hexToBytes, keccak256 } from 'viem';
import { describe, expect, test } from 'vitest';
import { presetByName } from '../../../shared/fhe/presets.ts';
import { type MemberNode, memberCommitment } from '../../../shared/gateway/network-commitments.ts';
import { type CommandPermission, permitCommand } from '../../../shared/gateway/policy/command.ts';
import {
  evidenceForCommand,
  evidenceForMembers,
  type NeededSlots,
} from '../../../shared/gateway/policy/needed-slots.ts';
import { GatewayState, provenMember } from '../../../shared/gateway/policy/network.ts';
import { decodePayload, MAX_COMMAND_KEYS } from '../../../shared/gateway/policy/payload.ts';
import {
  enrolmentSlot,
  keySlot,
  memberSlot,
  phaseSlot,
  plainSlot,
  slotNumbers,
} from '../../../shared/gateway/slots.ts';
import { numberOf, word } from '../../../shared/gateway/word.ts';
import { digest } from '../../../shared/ids.ts';
import { concat, fromHex, toHex } from '../../../shared/wire/bytes.ts';
import { codeThrown } from '../../unit/fhe/fixture.ts';
import { hex } from '../../vectors/gateway/typed-samples.ts';
import { type Change, keyState, onGateway } from './changes.ts';
import {
  account,
  contracts,
  KEY,
  NOW,
  provenChains,
  recommit,
  registryAddress,
  some,
  type World,
  worldOf,
  write,
} from './world.ts';

/** What operators command, and nothing that they do not. */

const tuple = (...names: readonly string[]) => names.map((type) => ({ type }));
const epochPayload = hexToBytes(
  encodeAbiParameters(
    [
      {
        type: 'tuple',
        components: [
          { type: 'uint64', name: 'to' },
          { type: 'bytes32[]', name: 'keys' },
        ],
      },
    ],
    [{ to: 7n, keys: [hex(KEY), hex(some('second'))] }],
  ),
);
const recoveryPayload = hexToBytes(
  encodeAbiParameters(
    [
      {
        type: 'tuple',
        components: [
          { type: 'uint8', name: 'party' },
          { type: 'bytes32', name: 'from' },
          { type: 'bytes32', name: 'to' },
          { type: 'bytes32', name: 'custodians' },
          { type: 'bytes32[]', name: 'keys' },
        ],
      },
    ],
    [
      {
        party: 3,
        from: hex(some('old')),
        to: hex(some('new')),
        custodians: hex(some('custodians')),
        keys: [hex(KEY)],
      },
    ],
  ),
);
const statics = (types: readonly string[], values: readonly unknown[]): Uint8Array =>
  hexToBytes(encodeAbiParameters(tuple(...types), [...values]));

const payloads: Readonly<Record<number, Uint8Array>> = {
  1: statics(['uint8', 'uint8'], [2, 1]),
  2: statics(['uint32'], [4096]),
  3: statics(['bytes32', 'bytes32'], [hex(KEY), hex(some('second'))]),
  4: epochPayload,
  5: statics(['bytes32', 'uint8'], [hex(KEY), 3]),
  6: statics(['bytes32', 'bytes32'], [hex(KEY), hex(some('custodians'))]),
  7: recoveryPayload,
};

const commanded =
  (kind: number, payload = payloads[kind]!, change: Partial<World['claim']['command']> = {}): Change =>
  (world) => {
    world.claim.command = { ...world.claim.command, kind, payload, ...change };
    recommit(world);
  };

function permit(
  world: World,
  needed: readonly NeededSlots[] = evidenceForCommand(world.context.gateway, world.claim),
): CommandPermission {
  return permitCommand(world.context, provenChains(world, needed).gateway, world.claim);
}

function worldWith(...changes: readonly Change[]): World {
  const world = worldOf(1);
  for (const change of changes) change(world);
  return world;
}

const codeOf = (...changes: readonly Change[]): string => {
  const world = worldWith(...changes);
  return codeThrown(() => permit(world));
};

const registrySlot = (slot: Uint8Array, value: bigint): Change => onGateway(registryAddress, slot, value);
const keysSlot = (slot: Uint8Array, value: bigint): Change => onGateway(contracts.keys, slot, value);

describe('commands', () => {
  const of = { commandId: 9n, epoch: 6n };
  const second = some('second');
  test.each<[number, object]>([
    [
      1,
      {
        kind: 'keyGeneration',
        preset: presetByName('bfv-8192'),
        galois: 'sum',
        statement: { ...of, preset: 2 },
      },
    ],
    [2, { kind: 'crsGeneration', statement: { ...of, size: 4096 } }],
    [3, { kind: 'switchingKey', statement: { ...of, fromKey: KEY, toKey: second } }],
    [
      4,
      {
        kind: 'epochChange',
        keys: [KEY, second],
        statement: {
          commandId: 9n,
          fromEpoch: 6n,
          toEpoch: 7n,
          keysHash: keccak256(concat(KEY, second), 'bytes'),
        },
      },
    ],
    [5, { kind: 'lifecycle', statement: { ...of, keyId: KEY, fromState: 2, toState: 3 } }],
    [6, { kind: 'backup', statement: { ...of, keyId: KEY, custodians: some('custodians') } }],
    [
      7,
      {
        kind: 'recovery',
        keys: [KEY],
        statement: {
          ...of,
          party: 3,
          oldIdentity: some('old'),
          newIdentity: some('new'),
          keysHash: keccak256(KEY, 'bytes'),
          custodians: some('custodians'),
        },
      },
    ],
  ])('commands: kind %i is permitted as it was commanded', (kind, operation) => {
    const permission = permit(worldWith(commanded(kind)));
    expect(permission).toEqual({
      commandId: 9n,
      operation,
      expiresAt: NOW + 100n,
      blocks: { gateway: 100n },
    });
  });

  test.each<[string, string, Change]>([
    [
      'one that the chain does not have',
      'NOT_PROVEN',
      ({ claim }) => {
        claim.command = { ...claim.command, id: 8n };
      },
    ],
    [
      'one with another payload',
      'NOT_PROVEN',
      ({ claim }) => {
        claim.command = { ...claim.command, payload: concat(some('other key'), word(3n)) };
      },
    ],
    ['one that was carried out', 'REQUEST_OVER', keysSlot(phaseSlot(9n), 2n)],
    ['one that ended', 'REQUEST_OVER', keysSlot(phaseSlot(9n), 3n)],
    ['one that expired', 'REQUEST_OVER', commanded(5, payloads[5], { expiresAt: NOW - 1n })],
    ['one for the committee before', 'WRONG_EPOCH', commanded(5, payloads[5], { epoch: 5n })],
    [
      'one for a committee that is over',
      'WRONG_EPOCH',
      registrySlot(plainSlot(slotNumbers.Registry.currentEpoch), 7n),
    ],
    [
      'one for another committee than this node is of',
      'WRONG_EPOCH',
      ({ context }) => {
        context.epoch = 7n;
      },
    ],
    [
      'other code of the keys',
      'NOT_PROVEN',
      ({ states }) => {
        states.gateway.contracts.get(toHex(contracts.keys))!.codeHash = some('x');
      },
    ],
    ['another network', 'NOT_PROVEN', registrySlot(plainSlot(slotNumbers.Registry.networkId), 5n)],
    [
      'a head too old',
      'STALE_HEAD',
      ({ states }) => {
        states.gateway.timestamp = NOW - 56n;
      },
    ],
  ])('commands: %s: %s', (_, code, change) => {
    expect(codeOf(change)).toBe(code);
  });

  test("commands: an epoch change is the next committee's too, and nobody else's", () => {
    const as =
      (epoch: bigint): Change =>
      ({ context }) => {
        context.epoch = epoch;
      };
    expect(codeOf(commanded(4), as(7n))).toBe('nothing thrown');
    expect(codeOf(commanded(4), as(8n))).toBe('WRONG_EPOCH');
    expect(codeOf(commanded(4), as(5n))).toBe('WRONG_EPOCH');
  });

  test.each([1, 2, 3])('commands: kind %i waits for the end of an epoch change', (kind) => {
    const changing = keysSlot(plainSlot(slotNumbers.Keys.epochChange), 8n);
    expect(codeOf(commanded(kind), changing)).toBe('NOT_PERMITTED');
    expect(codeOf(commanded(6), changing)).toBe('nothing thrown');
  });

  test('commands: no key is generated that the contracts or the network do not know', () => {
    const generation = (preset: number, galois: number): Change =>
      commanded(1, statics(['uint8', 'uint8'], [preset, galois]));
    expect(codeOf(generation(4, 0))).toBe('UNKNOWN_PRESET');
    expect(codeOf(generation(0, 0))).toBe('UNKNOWN_PRESET');
    expect(codeOf(generation(2, 3))).toBe('BAD_ENCODING');
    const production = digest(`6b6d7300${'ab'.repeat(28)}`);
    const inProduction: Change = (world) => {
      world.context.networkId = production;
      registrySlot(plainSlot(slotNumbers.Registry.networkId), numberOf(fromHex(production)))(world);
    };
    expect(codeOf(generation(1, 0))).toBe('nothing thrown');
    expect(codeOf(generation(1, 0), inProduction)).toBe('UNKNOWN_PRESET');
    expect(codeOf(generation(2, 0), inProduction)).toBe('nothing thrown');
  });

  test('commands: without any one slot nothing is proven', () => {
    for (const kind of [1, 5]) {
      const world = worldWith(commanded(kind));
      const all = evidenceForCommand(world.context.gateway, world.claim);
      for (const [i, one] of all.entries()) {
        for (const j of one.slots.keys()) {
          const without = all.with(i, { ...one, slots: one.slots.toSpliced(j, 1) });
          expect(codeThrown(() => permit(world, without))).toBe('NOT_PROVEN');
        }
      }
    }
  });
});

describe('transitions of keys', () => {
  const move = (toState: number): Change => commanded(5, statics(['bytes32', 'uint8'], [hex(KEY), toState]));
  const inState = (state: number, destroyedBy = 0n): Change =>
    keysSlot(keySlot(KEY), keyState(state, 2, destroyedBy));

  // KeyStates.sol, way by way; 7 and 0 are no states.
  const ways = ['1>2', '3>2', '2>3', '2>4', '3>4', '1>5', '2>5', '3>5', '4>5', '1>6', '4>6', '5>6'];
  test('transitions: only those that the contract knows', () => {
    for (let from = 0; from <= 7; from++) {
      for (let to = 0; to <= 7; to++) {
        const expected = ways.includes(`${from}>${to}`) ? 'nothing thrown' : 'NOT_PERMITTED';
        expect(codeOf(move(to), inState(from, to === 6 ? 9n : 0n)), `${from}>${to}`).toBe(expected);
      }
    }
  });

  test('transitions: a key is destroyed by the one command that the chain names', () => {
    expect(codeOf(move(6), inState(4, 9n))).toBe('nothing thrown');
    expect(codeOf(move(6), inState(4, 8n))).toBe('NOT_PERMITTED');
    expect(codeOf(move(6), inState(4, 0n))).toBe('NOT_PERMITTED');
    expect(codeOf(move(6), inState(4, (1n << 64n) - 1n))).toBe('NOT_PERMITTED');
    expect(codeOf(move(5), inState(4, 8n))).toBe('NOT_PERMITTED');
  });
});

describe('payloads', () => {
  const decode = (kind: number, payload: Uint8Array): string =>
    codeThrown(() => decodePayload(kind, payload));
  const edited = (payload: Uint8Array, wordAt: number, value: bigint): Uint8Array => {
    const copy = payload.slice();
    copy.set(word(value), 32 * wordAt);
    return copy;
  };

  test.each([1, 2, 3, 4, 5, 6, 7])('payloads: kind %i has one encoding', (kind) => {
    const payload = payloads[kind]!;
    expect(decode(kind, payload)).toBe('nothing thrown');
    expect(decode(kind, new Uint8Array(0))).toBe('BAD_ENCODING');
    expect(decode(kind, payload.subarray(1))).toBe('BAD_ENCODING');
    expect(decode(kind, payload.subarray(32))).toBe('BAD_ENCODING');
    expect(decode(kind, concat(payload, new Uint8Array(32)))).toBe('BAD_ENCODING');
    expect(decode(kind, concat(payload, new Uint8Array(1)))).toBe('BAD_ENCODING');
  });

  test.each<[string, number, Uint8Array]>([
    ['a preset of 9 bits', 1, edited(payloads[1]!, 0, 256n)],
    ['Galois keys of 9 bits', 1, edited(payloads[1]!, 1, 256n)],
    ['a size of 33 bits', 2, edited(payloads[2]!, 0, 1n << 32n)],
    ['an epoch of 65 bits', 4, edited(epochPayload, 1, 1n << 64n)],
    ['another offset', 4, edited(epochPayload, 0, 64n)],
    ['an array elsewhere', 4, edited(epochPayload, 2, 96n)],
    ['a longer array', 4, edited(epochPayload, 3, 3n)],
    ['a shorter array', 4, edited(epochPayload, 3, 1n)],
    ['a state of 9 bits', 5, edited(payloads[5]!, 1, 256n)],
    ['a party of 9 bits', 7, edited(recoveryPayload, 1, 256n)],
    ['another offset in a recovery', 7, edited(recoveryPayload, 0, 64n)],
    ['an array elsewhere in a recovery', 7, edited(recoveryPayload, 5, 192n)],
  ])('payloads: %s is refused', (_, kind, payload) => {
    expect(decode(kind, payload)).toBe('BAD_ENCODING');
  });

  test('payloads: as many keys as a network has, and no other kind', () => {
    expect(decode(4, new Uint8Array(32 * (MAX_COMMAND_KEYS + 17)))).toBe('TOO_LARGE');
    expect(decode(8, payloads[5]!)).toBe('BAD_ENCODING');
  });
});

describe('members', () => {
  const member: MemberNode = {
    sender: account('sender'),
    signer: account('signer'),
    identity: some('identity'),
    tlsRoot: some('tls'),
    epochKey: some('epoch key'),
    measurement: some('measurement'),
    endpoint: 'node-3.example:443',
    organisation: 'an organisation with a name of more than thirty-two bytes',
    cloudAccount: '',
    region: 'eu-central-1',
  };

  function proven(claimed: MemberNode, party: number, ...changes: readonly Change[]): string {
    const world = worldOf(1);
    write(world.states.gateway, registryAddress, memberSlot(6n, 3), numberOf(memberCommitment(member)));
    write(world.states.gateway, registryAddress, enrolmentSlot(6n, 3), 77n);
    for (const change of changes) change(world);
    const { gateway } = world.context;
    const needed = evidenceForMembers(gateway, 6n, [party]);
    const chain = provenChains(world, needed).gateway;
    return codeThrown(() =>
      provenMember(GatewayState.prove(world.context, chain, contracts), 6n, party, claimed),
    );
  }

  test('members: known by all their fields, once they are enrolled', () => {
    expect(proven(member, 3)).toBe('nothing thrown');
    expect(proven({ ...member, signer: account('thief') }, 3)).toBe('NOT_PROVEN');
    expect(proven({ ...member, endpoint: 'elsewhere:443' }, 3)).toBe('NOT_PROVEN');
    expect(proven(member, 2)).toBe('NOT_PROVEN');
    expect(proven(member, 3, registrySlot(enrolmentSlot(6n, 3), 0n))).toBe('NOT_PROVEN');
  });

  test('members: the hash is that of abi.encode', () => {
    const names = ['sender', 'signer', 'identity', 'tlsRoot', 'epochKey', 'measurement'] as const;
    const texts = ['endpoint', 'organisation', 'cloudAccount', 'region'] as const;
    const components = [
      ...names.map((name, i) => ({ name, type: i < 2 ? 'address' : 'bytes32' })),
      ...texts.map((name) => ({ name, type: 'string' })),
    ];
    const values = { ...member, ...Object.fromEntries(names.map((name) => [name, hex(member[name])])) };
    const encoded = encodeAbiParameters([{ type: 'tuple', components }], [values]);
    expect(hex(memberCommitment(member))).toBe(keccak256(encoded));
  });
});
