import { createHash } from 'node:crypto';
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { bytesToHex, hashTypedData, hexToBytes, recoverAddress, type TypedDataParameter } from 'viem';
import { publicKeyToAddress } from 'viem/accounts';
import { beforeEach, describe, expect, it } from 'vitest';
import { nodePrimitives } from '../../../enclave/primitives.ts';
import type { TypedDomain } from '../../../shared/gateway/eip712.ts';
import { typedDomainOf } from '../../../shared/gateway/eip712.ts';
import { type Field, typedData } from '../../../shared/gateway/typed-data.ts';
import { digest, type PartyId, partyId } from '../../../shared/ids.ts';
import type { Enrolment } from '../../../shared/membership/enrolment.ts';
import {
  isNodeEnrolmentSignature,
  nodeEnrolment,
  packedSignatures,
  signNodeEnrolment,
  verifyContractSignatures,
} from '../../../shared/membership/node-enrolment.ts';
import { measurementDigest } from '../../../shared/network/measurement.ts';
import { concat, fromHex } from '../../../shared/wire/bytes.ts';
import { EnrollingMember, enrol, of, parties, type Signed } from '../../simulator/enrolling-member.ts';
import { measurement, mockGenesis, operators } from '../../simulator/network.ts';

const domain: TypedDomain = { gatewayChainId: 31337n, registry: new Uint8Array(20).fill(7) };
const sha256 = (bytes: Uint8Array): Uint8Array => new Uint8Array(createHash('sha256').update(bytes).digest());
const refused = expect.objectContaining({ code: 'BAD_SIGNATURE' });

let members: readonly EnrollingMember[];
beforeEach(async () => {
  members = await Promise.all(parties.map((party) => EnrollingMember.start(party, undefined, domain)));
});

const signersOf = (): ReadonlyMap<PartyId, Uint8Array> =>
  new Map(members.map(({ party, signer }) => [party, signer.publicKey]));

/** Everybody is enrolled by everybody. */
async function enrolAll(): Promise<readonly Enrolment[]> {
  for (const member of members) {
    const others = members.filter((other) => other !== member);
    for (const other of others) other.nowMs += 60_000;
    await enrol(member, others);
  }
  return members.map(({ enrolments }) => enrolments.enrolment!);
}

/** What the second member answers to the first one, and the statement. */
async function answer() {
  const [first, second] = members;
  const asking = await first!.asking(second!);
  await second!.enrolments.asked(first!.line, asking);
  return { asking, signed: second!.lastSignature() };
}

describe('enrolment for contracts', () => {
  it('node enrolment: every field is derived from what was seen', async () => {
    const { asking } = await answer();
    const { statement, document } = asking;
    const first = members[0]!;
    const { pcr0, pcr1, pcr2 } = measurement(10);
    expect(nodeEnrolment(nodePrimitives, statement)).toEqual({
      epoch: 0n,
      party: 1,
      signer: hexToBytes(
        publicKeyToAddress(bytesToHex(secp256k1.Point.fromBytes(first.signer.publicKey).toBytes(false))),
      ),
      identity: of(1).signer.publicKey,
      tlsRoot: sha256(first.credentials.spki),
      // No fourth register: one byte says so.
      measurement: sha256(concat(pcr0, pcr1, pcr2, Uint8Array.of(0))),
      document: sha256(document),
    });
    const signed = { ...measurement(10), pcr8: new Uint8Array(48).fill(8) };
    expect(fromHex(measurementDigest(nodePrimitives, signed))).toEqual(
      sha256(concat(pcr0, pcr1, pcr2, Uint8Array.of(1), signed.pcr8)),
    );
  });

  it('node enrolment: the result signer signs what any wallet would', async () => {
    const { asking, signed } = await answer();
    const {
      signer,
      identity,
      tlsRoot,
      measurement: image,
      document,
      ...numbers
    } = nodeEnrolment(nodePrimitives, asking.statement);
    const fields: readonly Field[] = typedData.NodeEnrolment;
    const types: Record<string, readonly TypedDataParameter[]> = { NodeEnrolment: fields };
    const hash = hashTypedData({
      domain: {
        ...{ name: 'Threshold KMS', version: '1', chainId: 31337 },
        verifyingContract: bytesToHex(domain.registry),
      },
      types,
      primaryType: 'NodeEnrolment',
      message: {
        ...numbers,
        ...{ signer: bytesToHex(signer), identity: bytesToHex(identity), tlsRoot: bytesToHex(tlsRoot) },
        ...{ measurement: bytesToHex(image), document: bytesToHex(document) },
      },
    });
    const by = await recoverAddress({ hash, signature: bytesToHex(signed.contractSignature!) });
    const own = secp256k1.Point.fromBytes(members[1]!.signer.publicKey).toBytes(false);
    expect(by).toBe(publicKeyToAddress(bytesToHex(own)));
  });

  it('node enrolment: all others of epoch 0 sign, durably, and contracts can check it', async () => {
    const all = await enrolAll();
    for (const [i, enrolment] of all.entries()) {
      verifyContractSignatures(of(1), domain, enrolment, signersOf());
      const others = parties.filter((party) => party !== i + 1);
      expect(enrolment.contractSignatures.map(({ party }) => party)).toEqual(others);
      expect(packedSignatures(enrolment)).toHaveLength(3 * 65);
    }
    const again = await EnrollingMember.start(partyId(1), members[0]!.store.copy(), domain);
    expect(again.enrolments.enrolment).toEqual(all[0]);
  });

  it('node enrolment: a signature counts once its signer is known, without being sent again', async () => {
    const [first, ...others] = members;
    await enrol(first!, others);
    expect(first!.enrolments.enrolment).toBeUndefined();
    for (const other of others) {
      expect(first!.enrolments.enrolment).toBeUndefined();
      await enrol(other, [first!]);
    }
    verifyContractSignatures(of(1), domain, first!.enrolments.enrolment!, signersOf());
  });

  it('node enrolment: what is not by the signer that was seen attested does not count, and is asked for again', async () => {
    const [first, second, third, fourth] = members;
    for (const other of [second!, third!, fourth!]) await enrol(other, [first!]);
    first!.nowMs += 60_000;
    const { asking, signed } = await answer();
    await enrol(first!, [third!, fourth!]);
    const sign = (secret: Uint8Array, of = asking.statement, under = domain): Uint8Array =>
      signNodeEnrolment(nodePrimitives, under, of, secret);
    const own = (change: Partial<typeof asking.statement>, under?: TypedDomain): Uint8Array =>
      second!.signer.use((secret) => sign(secret, { ...asking.statement, ...change }, under));
    const bad: Readonly<Record<string, Uint8Array | undefined>> = {
      none: undefined,
      'of a stranger': sign(new Uint8Array(32).fill(5)),
      'of another member': third!.signer.use((secret) => sign(secret)),
      "of this node's own signer": first!.signer.use((secret) => sign(secret)),
      'about another party': own({ party: partyId(3) }),
      'about another signer': own({ signer: second!.signer.publicKey }),
      'about another identity': own({ identity: of(3).signer.publicKey }),
      'about another TLS key': own({ tlsKey: digest('11'.repeat(32)) }),
      'about another image': own({ measurement: measurement(20) }),
      'about another document': own({ document: digest('11'.repeat(32)) }),
      'for another registry': own({}, { ...domain, registry: new Uint8Array(20).fill(8) }),
      'for another chain': own({}, { ...domain, gatewayChainId: 1n }),
      'with a high s': highS(signed.contractSignature!),
    };
    for (const [name, contractSignature] of Object.entries(bad)) {
      await first!.enrolments.signed(second!.line, { ...signed, contractSignature });
      expect(first!.enrolments.enrolment, name).toBeUndefined();
      first!.nowMs += 60_000;
      const before = first!.told.length;
      await first!.enrolments.ask(second!.line);
      expect(first!.told.length, name).toBe(before + 1);
    }
    // A good one for contracts alone is not enough either.
    await first!.enrolments.signed(second!.line, { ...signed, signature: new Uint8Array(64) });
    expect(first!.enrolments.enrolment).toBeUndefined();
    await first!.enrolments.signed(second!.line, signed);
    verifyContractSignatures(of(1), domain, first!.enrolments.enrolment!, signersOf());
  });

  it('node enrolment: nothing is signed for contracts that was not verified', async () => {
    const [first, second, third] = members;
    const asking = await first!.asking(second!);
    const { statement } = asking;
    const bad = [
      { ...asking, possession: new Uint8Array(64) },
      { ...asking, statement: { ...statement, signer: third!.signer.publicKey } },
      { ...asking, statement: { ...statement, measurement: measurement(20) } },
      { ...asking, statement: { ...statement, document: digest('00'.repeat(32)) } },
    ];
    for (const message of bad) {
      second!.nowMs += 60_000;
      await expect(second!.enrolments.asked(first!.line, message)).rejects.toThrow();
    }
    expect(second!.told).toEqual([]);
    // Nor for a second signer of a member.
    second!.nowMs += 60_000;
    await second!.enrolments.asked(first!.line, asking);
    const renewed = await EnrollingMember.start(partyId(1), undefined, domain);
    second!.nowMs += 60_000;
    const other = await renewed.asking(second!);
    await expect(second!.enrolments.asked(renewed.line, other)).rejects.toMatchObject({ code: 'CONFLICT' });
    expect(second!.told).toHaveLength(1);
  });

  it('node enrolment: a network without a gateway signs nothing for contracts, and keeps nothing', async () => {
    members = await Promise.all(parties.map((party) => EnrollingMember.start(party)));
    const signed = (await answer()).signed;
    expect(signed.contractSignature).toBeUndefined();
    const [first, second, third, fourth] = members;
    const told: Signed = { ...signed, contractSignature: new Uint8Array(65) };
    await first!.enrolments.signed(second!.line, told);
    await enrol(first!, [third!, fourth!]);
    expect(first!.enrolments.enrolment?.contractSignatures).toEqual([]);
    expect(typedDomainOf(mockGenesis(operators(4)))).toBeUndefined();
  });

  it('node enrolment: too few, doubled, own, foreign or altered ones are no enrolment', async () => {
    const [enrolment] = await enrolAll();
    const { statement, contractSignatures: signatures } = enrolment!;
    const [a, b, c] = signatures;
    const own = {
      party: partyId(1),
      signature: members[0]!.signer.use((secret) =>
        signNodeEnrolment(nodePrimitives, domain, statement, secret),
      ),
    };
    const foreign = {
      party: partyId(4),
      signature: signNodeEnrolment(nodePrimitives, domain, statement, new Uint8Array(32).fill(3)),
    };
    const bad: readonly Enrolment[] = [
      { ...enrolment!, contractSignatures: [] },
      { ...enrolment!, contractSignatures: [a!, b!] },
      { ...enrolment!, contractSignatures: [a!, b!, b!] },
      { ...enrolment!, contractSignatures: [...signatures, c!] },
      { ...enrolment!, contractSignatures: [own, a!, b!] },
      { ...enrolment!, contractSignatures: [own, ...signatures] },
      { ...enrolment!, contractSignatures: [a!, b!, foreign] },
      { ...enrolment!, contractSignatures: [a!, b!, { ...c!, party: partyId(5) }] },
      { ...enrolment!, contractSignatures: [a!, b!, { ...a!, party: partyId(4) }] },
      { ...enrolment!, statement: { ...statement, document: digest('11'.repeat(32)) } },
    ];
    for (const one of bad) {
      expect(() => verifyContractSignatures(of(1), domain, one, signersOf())).toThrow(refused);
    }
    const elsewhere = { ...domain, gatewayChainId: 1n };
    expect(() => verifyContractSignatures(of(1), elsewhere, enrolment!, signersOf())).toThrow(refused);
    const bits = { ...statement, signer: new Uint8Array(33) };
    expect(isNodeEnrolmentSignature(nodePrimitives, domain, bits, new Uint8Array(33), a!.signature)).toBe(
      false,
    );
  });
});

/** The other signature of the same key on the same digest. */
function highS(signature: Uint8Array): Uint8Array {
  const n = secp256k1.Point.Fn.ORDER;
  const s = BigInt(bytesToHex(signature.subarray(32, 64)));
  const high = hexToBytes(`0x${(n - s).toString(16).padStart(64, '0')}`);
  return concat(signature.subarray(0, 32), high, Uint8Array.of(signature[64] === 27 ? 28 : 27));
}
