import { decodeAbiParameters, encodeAbiParameters, hashTypedData, keccak256, recoverAddress } from 'viem';
import { beforeEach, describe, expect, test } from 'vitest';
import { AnchorDesk } from '../../../enclave/gateway/anchor-desk.ts';
import type { StateVersion } from '../../../enclave/store/versioned-store.ts';
import { anchorCommitment } from '../../../shared/gateway/node-anchor.ts';
import { typedData } from '../../../shared/gateway/typed-data.ts';
import { digest } from '../../../shared/ids.ts';
import { codeThrown } from '../fhe/fixture.ts';
import { domain, hex, membership, resultSigner, signerOf, viemDomain } from './desk-fixture.ts';

const state = (version: number): StateVersion => ({ version, digest: digest('ab'.repeat(32)) });
let inEffect: StateVersion | undefined;
let desk: AnchorDesk;

beforeEach(async () => {
  inEffect = undefined;
  desk = new AnchorDesk({ membership, domain, signer: await resultSigner(), inEffect: () => inEffect });
});

describe('anchor desk', () => {
  test('anchor desk: signs nothing before a state has taken effect', () => {
    expect(codeThrown(() => desk.sign())).toBe('UNAVAILABLE');
  });

  test('anchor desk: what contracts take: this node’s newest state in effect, signed by its result signer', async () => {
    for (const version of [3, 7]) {
      inEffect = state(version);
      const { anchor, signature } = desk.sign();
      const message = {
        version: BigInt(version),
        identity: hex(membership.signer.publicKey),
        state: `0x${'ab'.repeat(32)}` as const,
        auditHead: `0x${'00'.repeat(32)}` as const,
      };
      expect(anchor.version).toBe(message.version);
      const hash = hashTypedData({
        ...{ domain: viemDomain, types: { Anchor: typedData.Anchor }, primaryType: 'Anchor', message },
      });
      expect(await recoverAddress({ hash, signature: hex(signature) })).toMatch(
        new RegExp(`^${hex(signerOf(1))}$`, 'i'),
      );
      const types = typedData.Anchor.map(({ type }) => ({ type }));
      const { identity, state: digestWord, auditHead } = message;
      const fields = encodeAbiParameters(types, [identity, message.version, digestWord, auditHead]);
      expect(hex(anchorCommitment(anchor))).toBe(keccak256(fields));
      expect(decodeAbiParameters(types, fields)[1]).toBe(BigInt(version));
      // The same again: no signature is made twice.
      expect(desk.sign()).toBe(desk.sign());
    }
  });
});
