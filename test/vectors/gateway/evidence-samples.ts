import { hexToBytes, keccak256, toHex } from 'viem';
import type { Claim } from '../../../shared/gateway/policy/claim.ts';
import { evidenceFor } from '../../../shared/gateway/policy/claim.ts';
import { encodeClaim } from '../../../shared/gateway/policy/claim-codec.ts';
import { assembleEvidence } from '../../../shared/gateway/proof/assemble.ts';
import { encodeEvidence } from '../../../shared/gateway/proof/evidence.ts';
import { word } from '../../../shared/gateway/word.ts';
import { worldOf } from '../../adversary/gateway/world.ts';
import { blockOf } from '../../oracle/chain-state.ts';
import { hex } from './typed-samples.ts';

/** One claim of every kind. */
export function claims(): readonly Claim[] {
  const [one, two, three] = [worldOf(1).claim, worldOf(2).claim, worldOf(3).claim];
  const { oracleRequest } = one;
  return [
    { kind: 'public', ...one, oracleRequest },
    { kind: 'public', ...one, oracleRequest: undefined },
    { kind: 'user', ...two },
    { kind: 'transfer', ...three },
    { kind: 'command', contracts: one.contracts, command: one.command },
  ];
}

/** What connectors and enclaves must agree on: claims, the slots that they need, and evidence of a small chain. */
export function evidenceVectors(): object {
  const gateway = worldOf(1).context.gateway;
  const address = (name: string): Uint8Array => hexToBytes(keccak256(toHex(name))).subarray(12);
  const slots = [0n, 1n, 2n].map((i) => word(i));
  const storage = new Map(slots.map((slot, i) => [hex(slot).slice(2), BigInt(i) << 200n] as const));
  const accounts = ['a', 'b', 'c', 'd'].map((name) => ({
    address: address(name),
    codeHash: keccak256(toHex(`code ${name}`), 'bytes'),
    storage,
  }));
  const block = blockOf(5n, 1_700_000_000n, accounts);
  const proofs = ['a', 'b'].map((name) => block.prove(address(name), slots));
  return {
    evidence: {
      hash: hex(block.hash),
      codeHash: hex(accounts[0]!.codeHash),
      address: hex(address('a')),
      words: [...storage].map(([slot, value]) => [`0x${slot}`, toHex(value)]),
      bytes: hex(encodeEvidence([assembleEvidence(1n, block.header, proofs)])),
    },
    claims: claims().map((claim) => ({
      kind: claim.kind,
      bytes: hex(encodeClaim(claim)),
      needs: evidenceFor(gateway, claim).map((one) => ({
        chainId: String(one.chainId),
        address: hex(one.address),
        slots: one.slots.map(hex),
      })),
    })),
  };
}
