import { describe, expect, test } from 'vitest';
import { presetByName } from '../../../shared/fhe/presets.ts';
import { ciphertextCommitment } from '../../../shared/gateway/commitments.ts';
import { EVERYBODY } from '../../../shared/gateway/policy/request.ts';
import {
  accessSlot,
  answerSlot,
  ciphertextSlot,
  factsSlot,
  keySlot,
  plainSlot,
  slotNumbers,
} from '../../../shared/gateway/slots.ts';
import { numberOf } from '../../../shared/gateway/word.ts';
import { keyId } from '../../../shared/ids.ts';
import { toHex } from '../../../shared/wire/bytes.ts';
import { codeThrown } from '../../unit/fhe/fixture.ts';
import {
  asked,
  type Change,
  codeOf,
  committed,
  handleOf,
  keyState,
  needed,
  onGateway,
  onHost,
  permit,
  replaceHandle,
} from './changes.ts';
import {
  account,
  claimedOf,
  contracts,
  derivationsOf,
  GATEWAY,
  HOST,
  host,
  KEY,
  NOW,
  OTHER_HOST,
  registryAddress,
  some,
  worldOf,
} from './world.ts';

/** Whatever is asked for. */
const common: readonly (readonly [string, string, Change])[] = [
  [
    'a request that the gateway does not have',
    'NOT_PROVEN',
    ({ claim }) => {
      claim.request = { ...claim.request, id: 13n };
    },
  ],
  [
    'a field that differs',
    'NOT_PROVEN',
    ({ claim }) => {
      claim.request = { ...claim.request, fee: 6n };
    },
  ],
  [
    'a consumer that differs',
    'NOT_PROVEN',
    ({ claim }) => {
      claim.request = { ...claim.request, consumer: account('thief') };
    },
  ],
  [
    'bytes moved from one field into the next',
    'BAD_INPUT',
    ({ claim }) => {
      const { consumer, reference } = claim.request;
      const moved = new Uint8Array([...consumer.subarray(19), ...reference]);
      claim.request = { ...claim.request, consumer: consumer.subarray(0, 19), reference: moved };
    },
  ],
  ['an answered request', 'REQUEST_OVER', onGateway(contracts.decryptions, answerSlot(12n), 99n)],
  ['an expired and refunded request', 'REQUEST_OVER', onGateway(contracts.decryptions, answerSlot(12n), 1n)],
  ['an expired request', 'REQUEST_OVER', asked({ expiresAt: NOW - 1n })],
  [
    'a kind that differs',
    'NOT_PERMITTED',
    (world) => asked({ kind: (world.claim.request.kind % 3) + 1 })(world),
  ],
  [
    'another registry',
    'NOT_PROVEN',
    ({ context }) => {
      context.gateway.registry = contracts.keys;
    },
  ],
  [
    'other code of the registry',
    'NOT_PROVEN',
    ({ context }) => {
      context.gateway.registryCodeHash = some('other');
    },
  ],
  [
    'another network',
    'NOT_PROVEN',
    onGateway(registryAddress, plainSlot(slotNumbers.Registry.networkId), 5n),
  ],
  [
    'other contracts of the gateway',
    'NOT_PROVEN',
    onGateway(registryAddress, plainSlot(slotNumbers.Registry.contractsHash), 5n),
  ],
  ...(['keys', 'ciphertexts', 'decryptions'] as const).map((name): readonly [string, string, Change] => [
    `other code of ${name}`,
    'NOT_PROVEN',
    ({ states }) => {
      states.gateway.contracts.get(toHex(contracts[name]))!.codeHash = some('other');
    },
  ]),
  ...(['accessControl', 'compute'] as const).map((name): readonly [string, string, Change] => [
    `other code of ${name}`,
    'NOT_PROVEN',
    ({ states }) => {
      states.host.contracts.get(toHex(host[name]))!.codeHash = some('other');
    },
  ]),
  [
    'a retired committee',
    'WRONG_EPOCH',
    onGateway(registryAddress, plainSlot(slotNumbers.Registry.currentEpoch), 7n),
  ],
  [
    'a committee to come',
    'WRONG_EPOCH',
    onGateway(registryAddress, plainSlot(slotNumbers.Registry.currentEpoch), 5n),
  ],
  [
    'host contracts that the registry does not name',
    'NOT_PROVEN',
    ({ claim }) => {
      claim.host = { ...claim.host, compute: account('own') };
    },
  ],
  [
    'fewer confirmations than the registry asks',
    'NOT_PROVEN',
    ({ claim }) => {
      claim.host = { ...claim.host, confirmations: 1n };
    },
  ],
  ['a host chain that the request is not for', 'NOT_PERMITTED', asked({ hostChainId: OTHER_HOST })],
  ['a verifier that the host no longer has', 'NOT_PERMITTED', asked({ verifier: account('old') })],
  [
    'the same state on another chain for the gateway',
    'NOT_PROVEN',
    ({ context, states }) => {
      states.gateway.chainId = 5n;
      context.heads.set(5n, { newest: 101n, accepted: 1n });
    },
  ],
  [
    'the same state on another chain for the host',
    'NOT_PROVEN',
    ({ context, states }) => {
      states.host.chainId = 5n;
      context.heads.set(5n, { newest: 202n, accepted: 1n });
    },
  ],
  [
    'a gateway head too old',
    'STALE_HEAD',
    ({ states }) => {
      states.gateway.timestamp = NOW - 56n;
    },
  ],
  [
    'a host head too old',
    'STALE_HEAD',
    ({ states }) => {
      states.host.timestamp = NOW - 56n;
    },
  ],
  [
    'a gateway head below the accepted one',
    'STALE_HEAD',
    ({ states }) => {
      states.gateway.number = 99n;
    },
  ],
  [
    'a host head below the accepted one',
    'STALE_HEAD',
    ({ states }) => {
      states.host.number = 199n;
    },
  ],
  [
    'a gateway head not yet confirmed',
    'STALE_HEAD',
    ({ states }) => {
      states.gateway.number = 101n;
    },
  ],
  [
    'a host head not yet confirmed',
    'STALE_HEAD',
    ({ states }) => {
      states.host.number = 201n;
    },
  ],
  ['a gateway without a head', 'STALE_HEAD', ({ context }) => void context.heads.delete(GATEWAY)],
  ['a host chain without a head', 'STALE_HEAD', ({ context }) => void context.heads.delete(HOST)],
  ['a key that the node does not have', 'UNKNOWN_KEY', ({ context }) => context.keys.clear()],
  ['a key that the chain does not have', 'WRONG_KEY', onGateway(contracts.keys, keySlot(KEY), 0n)],
  ['a key of another preset', 'WRONG_KEY', onGateway(contracts.keys, keySlot(KEY), keyState(2, 3))],
  ['a key before its activation', 'NOT_PERMITTED', onGateway(contracts.keys, keySlot(KEY), keyState(1))],
  ['a destroyed key', 'NOT_PERMITTED', onGateway(contracts.keys, keySlot(KEY), keyState(6))],
  [
    'a key whose destruction is commanded',
    'NOT_PERMITTED',
    onGateway(contracts.keys, keySlot(KEY), keyState(4, 2, 8n)),
  ],
  [
    'a key that the node has destroyed',
    'NOT_PERMITTED',
    ({ context }) => void context.keys.set(keyId(toHex(KEY)), { preset: presetByName('bfv-8192'), state: 6 }),
  ],
  [
    'another ciphertext',
    'NOT_PROVEN',
    ({ claim }) => {
      const [first] = claim.ciphertexts;
      claim.ciphertexts[0] = { ...first!, ciphertext: { ...first!.ciphertext, digest: some('stolen') } };
    },
  ],
  ['no ciphertext', 'NOT_PROVEN', ({ claim }) => void claim.ciphertexts.pop()],
  ['a ciphertext too many', 'NOT_PROVEN', ({ claim }) => void claim.ciphertexts.push(claim.ciphertexts[0]!)],
  [
    'a derivation of another handle',
    'NOT_PROVEN',
    ({ claim }) => {
      const [first] = claim.ciphertexts;
      claim.ciphertexts[0] = { ...first!, derivation: { ...first!.derivation, nonce: 99n } };
    },
  ],
  [
    'a ciphertext that the coprocessors did not commit',
    'NOT_PROVEN',
    ({ claim }) => {
      const [claimed] = claim.ciphertexts;
      claim.ciphertexts[0] = {
        ...claimed!,
        ciphertext: { ...claimed!.ciphertext, provenance: some('other') },
      };
    },
  ],
  [
    'a ciphertext that was committed under another handle',
    'NOT_PROVEN',
    (world) => {
      const handle = handleOf(world, 0);
      committed({ handle: some('other handle') })(world);
      const { ciphertext } = world.claim.ciphertexts[0]!;
      const hash = numberOf(ciphertextCommitment(ciphertext));
      onGateway(contracts.ciphertexts, ciphertextSlot(handle), hash)(world);
    },
  ],
  ['another envelope than the input has', 'NOT_PROVEN', committed({ digest: some('stolen') })],
  ['a smaller bound than the host has', 'NOT_PROVEN', committed({ bound: 1n })],
  ['a lower level than the host has', 'NOT_PROVEN', committed({ level: 2 })],
  ['another kind than the host has', 'NOT_PROVEN', committed({ kind: 2 })],
  ['another key than the handle has', 'WRONG_KEY', committed({ keyId: some('other key') })],
  [
    'a handle that its chain does not have',
    'NOT_PROVEN',
    onHost(host.compute, (world) => factsSlot(handleOf(world, 0)), 0n),
  ],
  [
    'too noisy a ciphertext',
    'TOO_NOISY',
    (world) => {
      const noisy = { ...derivationsOf(HOST)[0]!, bound: 1n << 200n };
      world.claim.ciphertexts[0] = claimedOf(noisy, 0);
      replaceHandle(world);
    },
  ],
  [
    'a handle of another key than the request',
    'WRONG_KEY',
    (world) => {
      const other = claimedOf(derivationsOf(HOST, some('other key'))[0]!, 0);
      world.claim.ciphertexts[0] = { ...other, ciphertext: { ...other.ciphertext, keyId: KEY } };
      replaceHandle(world);
    },
  ],
];

describe.each([1, 2, 3] as const)('requests of kind %i', (kind) => {
  test(`request of kind ${kind}: what is right is permitted`, () => {
    const { ciphertexts, ...permission } = permit(kind, worldOf(kind));
    expect(permission).toMatchObject({
      requestId: 12n,
      keyId: toHex(KEY),
      blocks: { gateway: 100n, host: 200n },
      statement: {
        requestId: 12n,
        keyId: KEY,
        epoch: 6n,
        destinationChainId: kind === 3 ? OTHER_HOST : HOST,
      },
    });
    expect(ciphertexts[0]).toMatchObject({
      digest: toHex(some('envelope 0')),
      kind: 'scalar',
      bound: { bound: 3920608n, level: 3 },
    });
    expect(ciphertexts).toHaveLength(kind === 3 ? 1 : 2);
  });

  test.each(common)(`request of kind ${kind}: %s: %s`, (_, code, change) => {
    expect(codeOf(kind, change)).toBe(code);
  });

  test(`request of kind ${kind}: at its last second it is still open`, () => {
    expect(codeOf(kind, asked({ expiresAt: NOW }))).toBe('nothing thrown');
  });

  test(`request of kind ${kind}: heads as old as they may be are believed`, () => {
    const old: Change = ({ states }) => {
      states.gateway.timestamp = NOW - 55n;
      states.host.timestamp = NOW - 55n;
    };
    expect(codeOf(kind, old, asked({ requestedAt: NOW - 90n }))).toBe('nothing thrown');
  });

  test.each([2, 3, 4, 5])(`request of kind ${kind}: a key in state %i decrypts`, (state) => {
    expect(codeOf(kind, onGateway(contracts.keys, keySlot(KEY), keyState(state)))).toBe('nothing thrown');
  });

  test(`request of kind ${kind}: without any one slot nothing is proven`, () => {
    const world = worldOf(kind);
    const all = needed[kind](world);
    const everybody = world.claim.request.handles.map((handle) => toHex(accessSlot(handle, EVERYBODY)));
    for (const [i, one] of all.entries()) {
      for (const [j, slot] of one.slots.entries()) {
        // Asked for in case the handle is public.
        if (kind === 2 && everybody.includes(toHex(slot))) continue;
        const without = all.with(i, { ...one, slots: one.slots.toSpliced(j, 1) });
        expect(codeThrown(() => permit(kind, world, without))).toBe('NOT_PROVEN');
      }
    }
  });
});
