import { keccak256 } from 'viem';
import { describe, expect, test } from 'vitest';
import { Authority } from '../../../enclave/gateway/authority.ts';
import { keyStates } from '../../../shared/gateway/key-state.ts';
import { type Claim, evidenceFor } from '../../../shared/gateway/policy/claim.ts';
import { encodeClaim, MAX_CLAIM_BYTES } from '../../../shared/gateway/policy/claim-codec.ts';
import { assembleEvidence } from '../../../shared/gateway/proof/assemble.ts';
import {
  type ChainEvidence,
  encodeEvidence,
  MAX_EVIDENCE_BYTES,
} from '../../../shared/gateway/proof/evidence.ts';
import { type Digest, digest, epochId } from '../../../shared/ids.ts';
import { fromHex, toHex } from '../../../shared/wire/bytes.ts';
import { type ChainState, GATEWAY, HOST, NOW, type World, worldOf } from '../../adversary/gateway/world.ts';
import { blockOf } from '../../oracle/chain-state.ts';

interface Asked {
  readonly chainId: bigint;
  readonly hash: Digest;
}

interface Played {
  readonly claim: Claim;
  readonly evidence: readonly ChainEvidence[];
  readonly asked: Asked[];
  /** Blocks that the endpoints name, by chain. */
  readonly agreed: Map<bigint, Digest>;
  readonly newest: Map<bigint, bigint>;
  permit(claim?: Uint8Array, evidence?: Uint8Array): ReturnType<Authority['permit']>;
}

/** An authority that believes the world's two blocks, and what a connector brings of them. */
function played(change: (world: World) => void = () => {}, epoch = 6): Played {
  const world = worldOf(1);
  change(world);
  const claim: Claim = { kind: 'public', ...world.claim };
  const needed = evidenceFor(world.context.gateway, claim);
  const agreed = new Map<bigint, Digest>();
  const of = (state: ChainState): ChainEvidence => {
    const accounts = [...state.contracts].map(([address, { codeHash, words }]) => ({
      ...{ address: fromHex(address), codeHash, storage: words },
    }));
    const block = blockOf(state.number, state.timestamp, accounts);
    agreed.set(state.chainId, digest(keccak256(block.header).slice(2)));
    const proofs = needed
      .filter(({ chainId }) => chainId === state.chainId)
      .map(({ address, slots }) => block.prove(address, slots));
    return assembleEvidence(state.chainId, block.header, proofs);
  };
  const evidence = [of(world.states.gateway), of(world.states.host)];
  const newest = new Map([
    [GATEWAY, 100n],
    [HOST, 202n],
  ]);
  const asked: Asked[] = [];
  const { networkId, gateway, keys } = world.context;
  const block = (chainId: bigint) => ({
    ...{ number: newest.get(chainId)!, hash: agreed.get(chainId)!, parentHash: digest('00'.repeat(32)) },
    timestampS: NOW,
  });
  const authority = new Authority({
    ...{ networkId, epoch: epochId(epoch), nowMs: () => Number(NOW) * 1000 + 5_000 },
    gateway: {
      ...{ chainId: GATEWAY, registry: gateway.registry, startBlock: 0 },
      registryCodeHash: digest(toHex(gateway.registryCodeHash)),
    } as never,
    keys: async () => keys,
    heads: {
      async agreedBlock(chainId, hash) {
        asked.push({ chainId, hash });
        return agreed.get(chainId) === hash ? block(chainId) : undefined;
      },
      head: async (chainId) => block(chainId),
    },
  });
  return {
    ...{ claim, evidence, asked, agreed, newest },
    permit: (one = encodeClaim(claim), all = encodeEvidence(evidence)) => authority.permit(one, all),
  };
}

describe('authority', () => {
  test('authority: what the agreed blocks show is permitted, and it is those blocks that are asked about', async () => {
    const { claim, agreed, asked, permit } = played();
    const permitted = await permit();
    expect(encodeClaim(permitted.claim)).toEqual(encodeClaim(claim));
    expect(permitted.permission).toMatchObject({ kind: 'public', requestId: 12n, expiresAt: NOW + 600n });
    expect(asked).toEqual([GATEWAY, HOST].map((chainId) => ({ chainId, hash: agreed.get(chainId) })));
  });

  test.each([GATEWAY, HOST])(
    'authority: a block of chain %s that nobody agrees on shows nothing',
    async (chainId) => {
      const { agreed, permit } = played();
      agreed.set(chainId, digest('ab'.repeat(32)));
      await expect(permit()).rejects.toMatchObject({ code: 'STALE_HEAD' });
    },
  );

  test('authority: whether a block is agreed is asked before its proofs are read', async () => {
    const { agreed, evidence, permit, claim } = played();
    const broken = evidence.map((one) => ({ ...one, nodes: [new Uint8Array(40)] }));
    const encoded = encodeEvidence(broken);
    await expect(permit(encodeClaim(claim), encoded)).rejects.toMatchObject({ code: 'NOT_PROVEN' });
    agreed.clear();
    await expect(permit(encodeClaim(claim), encoded)).rejects.toMatchObject({ code: 'STALE_HEAD' });
  });

  test('authority: without the gateway’s chain, or the host’s, nothing is proven', async () => {
    const { evidence, permit, claim } = played();
    for (const one of evidence) {
      await expect(permit(encodeClaim(claim), encodeEvidence([one]))).rejects.toMatchObject({
        code: 'NOT_PROVEN',
      });
    }
  });

  test('authority: confirmations count to the newest block that is agreed', async () => {
    const { newest, permit } = played();
    newest.set(HOST, 201n);
    await expect(permit()).rejects.toMatchObject({ code: 'STALE_HEAD' });
  });

  test('authority: the committee, the keys and their states are this node’s own', async () => {
    await expect(played(undefined, 7).permit()).rejects.toMatchObject({ code: 'WRONG_EPOCH' });
    const unknown = played(({ context }) => context.keys.clear());
    await expect(unknown.permit()).rejects.toMatchObject({ code: 'UNKNOWN_KEY' });
    const own = (state: number) =>
      played(({ context }) => {
        for (const [key, known] of context.keys) context.keys.set(key, { ...known, state });
      });
    await expect(own(keyStates.destroyed).permit()).rejects.toMatchObject({ code: 'NOT_PERMITTED' });
    // It missed the activation, which the chain shows that n - t others carried out.
    expect((await own(keyStates.preActivation).permit()).permission.kind).toBe('public');
  });

  test('authority: another registry, its code or another network than genesis names shows nothing', async () => {
    const changes: readonly ((world: World) => void)[] = [
      ({ context }) => {
        context.gateway.registryCodeHash = new Uint8Array(32);
      },
      ({ context }) => {
        context.networkId = digest('6d6f636b'.padEnd(64, '0'));
      },
    ];
    for (const change of changes) {
      await expect(played(change).permit()).rejects.toMatchObject({ code: 'NOT_PROVEN' });
    }
  });

  test('authority: what is no claim or no evidence is not asked about', async () => {
    const { claim, asked, permit } = played();
    const good = encodeClaim(claim);
    const none = new Uint8Array(0);
    await expect(permit(good.subarray(1))).rejects.toMatchObject({ code: 'BAD_ENCODING' });
    await expect(permit(new Uint8Array(MAX_CLAIM_BYTES + 1))).rejects.toMatchObject({ code: 'TOO_LARGE' });
    await expect(permit(good, none)).rejects.toMatchObject({ code: 'BAD_ENCODING' });
    const large = new Uint8Array(MAX_EVIDENCE_BYTES + 1);
    await expect(permit(good, large)).rejects.toMatchObject({ code: 'TOO_LARGE' });
    expect(asked).toEqual([]);
  });
});
