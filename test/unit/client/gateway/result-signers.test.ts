import { secp256k1 } from '@noble/curves/secp256k1.js';
import { describe, expect, test } from 'vitest';
import { ResultSigners } from '../../../../client/gateway/result-signers.ts';
import type { Network } from '../../../../client/network.ts';
import { nodePrimitives } from '../../../../enclave/primitives.ts';
import { codeOf } from '../../../../shared/errors.ts';
import { digest, epochId, type PartyId, partyId } from '../../../../shared/ids.ts';
import {
  type Enrolment,
  type EnrolmentStatement,
  enrolmentCodec,
  signEnrolment,
} from '../../../../shared/membership/enrolment.ts';
import type { Membership } from '../../../../shared/protocol/machine.ts';
import { encode } from '../../../../shared/wire/codec.ts';
import { signerOf } from '../fake-node.ts';
import { four, secretOf, signerAddress } from './played-gateway.ts';

const membership = (party: number): Membership => ({
  ...{ networkId: digest('11'.repeat(32)), configuration: digest('22'.repeat(32)), epoch: epochId(0) },
  ...{ committee: four, self: partyId(party), signer: signerOf(party), primitives: nodePrimitives },
  identities: new Map(four.parties.map((one) => [one, signerOf(one).publicKey])),
});

function statementFor(party: number): EnrolmentStatement {
  return {
    ...{ epoch: epochId(0), party: partyId(party), identity: signerOf(party).publicKey },
    signer: secp256k1.getPublicKey(secretOf(party), true),
    ...{ tlsKey: digest('33'.repeat(32)), document: digest('44'.repeat(32)) },
    measurement: {
      ...{ pcr0: new Uint8Array(48).fill(1), pcr1: new Uint8Array(48), pcr2: new Uint8Array(48) },
      pcr8: undefined,
    } as unknown as EnrolmentStatement['measurement'],
  };
}

/** As its node shows it, signed by the others. */
function enrolmentOf(party: number, by: readonly number[] = [1, 2, 3, 4]): Uint8Array {
  const statement = statementFor(party);
  const signatures = by
    .filter((other) => other !== party)
    .map((other) => ({ party: partyId(other), signature: signEnrolment(membership(other), statement) }));
  const enrolment: Enrolment = { statement, signatures, contractSignatures: [] };
  return encode(enrolmentCodec, enrolment);
}

/** Nodes that show these enrolments; undefined does not answer. */
function networkOf(shown: readonly (Uint8Array | undefined)[]) {
  let asked = 0;
  const network = {
    ...{ committee: four, electorate: membership(1) },
    async ask(_: unknown, accept: (party: PartyId, value: Uint8Array) => boolean) {
      asked++;
      const [values, faults] = [new Map<PartyId, Uint8Array>(), new Map()];
      for (const [i, enrolment] of shown.entries()) {
        const party = partyId(i + 1);
        try {
          if (enrolment === undefined) throw new Error('it does not answer');
          accept(party, enrolment);
          values.set(party, enrolment);
        } catch (error) {
          faults.set(party, { code: codeOf(error) });
        }
      }
      return { values, faults };
    },
  };
  return { signers: new ResultSigners(network as unknown as Network), asked: () => asked };
}

const addresses = (...parties: number[]): Set<`0x${string}`> => new Set(parties.map(signerAddress));
const all = [1, 2, 3, 4].map((party) => enrolmentOf(party));

describe('result signers', () => {
  test('quorumOf: the parties behind addresses; strangers are nobody, and known ones are not asked for again', async () => {
    const { signers, asked } = networkOf(all);
    expect(await signers.quorumOf(addresses(1, 2, 4), 3)).toEqual([1, 2, 4]);
    expect(await signers.quorumOf(addresses(1, 2, 4), 3)).toEqual([1, 2, 4]);
    expect(asked()).toBe(1);
    expect(await signers.quorumOf(addresses(1, 2, 4, 99), 3)).toEqual([1, 2, 4]);
  });

  test('quorumOf: two members and a stranger are not three', async () => {
    const { signers } = networkOf(all);
    await expect(signers.quorumOf(addresses(1, 2, 99), 3)).rejects.toMatchObject({ code: 'BAD_SIGNATURE' });
  });

  test('quorumOf: who does not answer may have signed, and is named', async () => {
    const { signers } = networkOf([all[0], undefined, all[2], all[3]]);
    await expect(signers.quorumOf(addresses(1, 2, 3), 3)).rejects.toMatchObject({
      ...{ code: 'NOT_ENOUGH_PARTIES', missing: [2] },
    });
    expect(await signers.quorumOf(addresses(1, 3, 4), 3)).toEqual([1, 3, 4]);
  });

  test.each<[string, Uint8Array]>([
    ['too few others signed', enrolmentOf(2, [1, 3])],
    ["another node's", enrolmentOf(3)],
    ['garbage', new Uint8Array(10)],
  ])('quorumOf: an enrolment that is %s makes nobody a signer', async (_, shown) => {
    const { signers } = networkOf([all[0], shown, all[2], undefined]);
    await expect(signers.quorumOf(addresses(1, 2, 3), 3)).rejects.toMatchObject({ missing: [2, 4] });
  });
});
