import { secp256k1 } from '@noble/curves/secp256k1.js';
import { beforeEach, describe, expect, it } from 'vitest';
import { newResultSigner, RESULT_SIGNER, ResultSigner } from '../../../enclave/membership/result-signer.ts';
import { nodePrimitives, systemRng } from '../../../enclave/primitives.ts';
import { parseUnverifiedDocument } from '../../../shared/attestation/document.ts';
import { committee } from '../../../shared/committee.ts';
import { digest, epochId, partyId } from '../../../shared/ids.ts';
import {
  type Enrolment,
  enrolmentNonce,
  isPossession,
  provePossession,
  signaturesNeeded,
  signEnrolment,
  statementOf,
  verifyEnrolment,
} from '../../../shared/membership/enrolment.ts';
import { tlsKeyOf } from '../../../shared/membership/incarnation.ts';
import { digestOf } from '../../../shared/protocol/statement.ts';
import {
  type Asking,
  EnrollingMember,
  enrol,
  networkId,
  of,
  parties,
} from '../../simulator/enrolling-member.ts';
import { MemoryStore } from '../../simulator/memory-store.ts';
import { measurement } from '../../simulator/network.ts';
import { memberships } from '../../simulator/simulation.ts';

let members: readonly EnrollingMember[];
beforeEach(async () => {
  members = await Promise.all(parties.map((party) => EnrollingMember.start(party)));
});

describe('enrolment', () => {
  it('enrolment: in epoch 0 all others sign; the chain of signatures holds for clients, durably', async () => {
    const [first, ...others] = members;
    await enrol(first!, others.slice(0, 2));
    expect(first!.enrolments.enrolment).toBeUndefined();
    await enrol(first!, others.slice(2));
    const { enrolment } = first!.enrolments;
    verifyEnrolment(of(3), enrolment!);
    expect(enrolment!.statement).toMatchObject({
      party: 1,
      signer: first!.signer.publicKey,
      identity: of(1).signer.publicKey,
      measurement: measurement(10),
    });
    const again = await EnrollingMember.start(partyId(1), first!.store.copy());
    expect(again.enrolments.enrolment).toEqual(enrolment);
    expect(again.signer.publicKey).toEqual(first!.signer.publicKey);
  });

  it('enrolment: in later epochs 2t + 1 of the others are enough', () => {
    expect(signaturesNeeded(of(1))).toBe(3);
    const larger = { ...memberships(committee(13, 4), 'larger').get(partyId(1))! };
    expect(signaturesNeeded(larger)).toBe(12);
    expect(signaturesNeeded({ ...larger, epoch: epochId(1) })).toBe(9);
  });

  it('enrolment: too few, doubled, own, foreign or altered signatures do not hold', async () => {
    await enrol(members[0]!, members.slice(1));
    const { statement, signatures } = members[0]!.enrolments.enrolment!;
    const none = { contractSignatures: [] };
    const [first, second] = signatures;
    const own = { party: partyId(1), signature: signEnrolment(of(1), statement) };
    const bad: readonly Enrolment[] = [
      { ...none, statement, signatures: signatures.slice(1) },
      { ...none, statement, signatures: [first!, second!, second!] },
      { ...none, statement, signatures: [first!, second!, own] },
      { ...none, statement, signatures: [first!, second!, { ...second!, party: partyId(4) }] },
      { ...none, statement: { ...statement, signer: members[1]!.signer.publicKey }, signatures },
      { ...none, statement: { ...statement, measurement: measurement(20) }, signatures },
      { ...none, statement: { ...statement, party: partyId(2) }, signatures },
      { ...none, statement: { ...statement, epoch: epochId(1) }, signatures },
    ];
    for (const enrolment of bad) {
      expect(() => verifyEnrolment(of(3), enrolment)).toThrow(
        expect.objectContaining({ code: 'BAD_SIGNATURE' }),
      );
    }
    const elsewhere = { ...of(3), networkId: digest('22'.repeat(32)) };
    expect(() => verifyEnrolment(elsewhere, { ...none, statement, signatures })).toThrow();
  });

  it('enrolment: a member signs one signer of another per epoch, also after a restart', async () => {
    const [first, second] = members;
    await enrol(first!, [second!]);
    // The same member with a signer of a new disk.
    const renewed = await EnrollingMember.start(partyId(1));
    const restarted = await EnrollingMember.start(partyId(2), second!.store.copy());
    await expect(
      restarted.enrolments.asked(renewed.line, await renewed.asking(restarted)),
    ).rejects.toMatchObject({ code: 'CONFLICT' });
    // A new boot with the old signer is welcome.
    const sameSigner = await EnrollingMember.start(partyId(1), first!.store.copy());
    restarted.nowMs += 60_000;
    await restarted.enrolments.asked(sameSigner.line, await sameSigner.asking(restarted));
    restarted.lastSignature();
  });

  it('enrolment: two boots with two signers do not both get one signed, however slow the disk', async () => {
    const [first, second] = members;
    const { store } = second!;
    const put = store.put.bind(store);
    const disk = Promise.withResolvers<void>();
    store.put = async (...record) => {
      await disk.promise;
      return put(...record);
    };
    const renewed = await EnrollingMember.start(partyId(1));
    const asked = [await first!.asking(second!), await renewed.asking(second!)];
    const one = second!.enrolments.asked(first!.line, asked[0]!);
    second!.nowMs += 60_000;
    const two = second!.enrolments.asked(renewed.line, asked[1]!);
    const endings = Promise.allSettled([one, two]);
    setTimeout(disk.resolve, 100);
    expect((await endings).filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(second!.told.filter(({ message }) => message.kind === 'enrolment-signed')).toHaveLength(1);
  });

  it('enrolment: a signer without possession, or a statement that the document does not bear out, is not signed', async () => {
    const [first, second, third] = members;
    const asking = await first!.asking(second!);
    const { statement } = asking;
    const stolen = { ...statement, signer: third!.signer.publicKey };
    const bad: readonly (readonly [Asking, string])[] = [
      [{ ...asking, possession: systemRng(64) }, 'BAD_PEER'],
      [{ ...asking, statement: stolen }, 'BAD_ATTESTATION'],
      [{ ...asking, statement: { ...statement, measurement: measurement(20) } }, 'BAD_PEER'],
      [{ ...asking, statement: { ...statement, document: digest('00'.repeat(32)) } }, 'BAD_PEER'],
      [{ ...asking, statement: { ...statement, tlsKey: digest('00'.repeat(32)) } }, 'BAD_PEER'],
      [{ ...asking, document: await first!.credentials.document(networkId) }, 'BAD_ATTESTATION'],
    ];
    for (const [message, code] of bad) {
      second!.nowMs += 60_000;
      await expect(second!.enrolments.asked(first!.line, message)).rejects.toMatchObject({ code });
    }
    // Somebody else's enrolment over one's own stream.
    second!.nowMs += 60_000;
    await expect(second!.enrolments.asked(third!.line, asking)).rejects.toMatchObject({
      code: 'BAD_ATTESTATION',
    });
    expect(second!.told).toEqual([]);
    second!.nowMs += 60_000;
    await second!.enrolments.asked(first!.line, asking);
    expect(second!.told).toHaveLength(1);
  });

  it('enrolment: signatures of others, or on something else, are not collected', async () => {
    const [first, second, third] = members;
    const asking = await first!.asking(second!);
    const sign = (statement: Asking['statement']) => ({
      signature: signEnrolment(of(2), statement),
      contractSignature: undefined,
    });
    const good = sign(asking.statement);
    await first!.enrolments.signed(third!.line, good);
    await first!.enrolments.signed(second!.line, sign({ ...asking.statement, party: partyId(3) }));
    await enrol(first!, [third!, members[3]!]);
    expect(first!.enrolments.enrolment).toBeUndefined();
    await first!.enrolments.signed(second!.line, good);
    expect(first!.enrolments.enrolment?.signatures.map(({ party }) => party)).toEqual([2, 3, 4]);
  });

  it('possession: only the holder of the secret proves it, for one statement', async () => {
    const secret = secp256k1.utils.randomSecretKey();
    const signer = secp256k1.getPublicKey(secret, true);
    const { credentials } = members[0]!;
    const about = { party: partyId(1), signer, tlsKey: tlsKeyOf(nodePrimitives, credentials.spki) };
    const document = await credentials.document(networkId, enrolmentNonce(of(1), about));
    const statement = statementOf(
      of(1),
      about,
      parseUnverifiedDocument(document),
      digestOf(nodePrimitives, document),
    );
    const proof = provePossession(of(1), statement, secret);
    expect(isPossession(of(2), statement, proof)).toBe(true);
    expect(isPossession(of(2), { ...statement, epoch: epochId(1) }, proof)).toBe(false);
    expect(isPossession(of(2), { ...statement, signer: new Uint8Array(33) }, proof)).toBe(false);
    expect(isPossession(of(2), statement, systemRng(64))).toBe(false);
  });

  it('result signer: prints no secret', async () => {
    const store = new MemoryStore();
    await expect(ResultSigner.open(store)).rejects.toMatchObject({ code: 'STORE_FAILED' });
    await store.put(RESULT_SIGNER, newResultSigner(systemRng));
    const signer = await ResultSigner.open(store);
    expect([`${signer}`, JSON.stringify({ signer })]).toEqual(['[secret]', '{"signer":"[secret]"}']);
    await store.put(RESULT_SIGNER, new Uint8Array(32));
    await expect(ResultSigner.open(store)).rejects.toMatchObject({ code: 'STORE_FAILED' });
  });
});
