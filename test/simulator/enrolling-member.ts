import { Enrolments } from '../../enclave/membership/enrolments.ts';
import { newResultSigner, RESULT_SIGNER, ResultSigner } from '../../enclave/membership/result-signer.ts';
import { Credentials } from '../../enclave/net/credentials.ts';
import type { Line } from '../../enclave/net/line.ts';
import { nodePrimitives, systemRng } from '../../enclave/primitives.ts';
import { committee } from '../../shared/committee.ts';
import type { TypedDomain } from '../../shared/gateway/eip712.ts';
import { digest, type PartyId, partyId } from '../../shared/ids.ts';
import type { MembershipMessage } from '../../shared/membership/messages.ts';
import type { Membership } from '../../shared/protocol/machine.ts';
import { boundNsm, mockTrust } from './attested.ts';
import { MemoryStore } from './memory-store.ts';
import { memberships } from './simulation.ts';

export const networkId = digest(`6d6f636b${'ef'.repeat(28)}`);
const all = new Map(
  [...memberships(committee(4, 1), 'enrolment')].map(([party, one]) => [party, { ...one, networkId }]),
);
export const parties = [1, 2, 3, 4].map((i) => partyId(i));
export const of = (party: number): Membership => all.get(partyId(party))!;

/** One member: its enclave's keys and what it keeps. */
export class EnrollingMember {
  readonly party: PartyId;
  readonly store: MemoryStore;
  readonly credentials: Credentials;
  readonly signer: ResultSigner;
  readonly enrolments: Enrolments;
  readonly told: { readonly to: Line; readonly message: MembershipMessage }[] = [];
  nowMs = 0;

  private constructor(
    party: PartyId,
    store: MemoryStore,
    credentials: Credentials,
    signer: ResultSigner,
    make: (member: EnrollingMember) => Enrolments,
  ) {
    this.party = party;
    this.store = store;
    this.credentials = credentials;
    this.signer = signer;
    this.enrolments = make(this);
  }

  static async start(
    party: PartyId,
    store = new MemoryStore(),
    domain?: TypedDomain,
  ): Promise<EnrollingMember> {
    const membership = of(party);
    const credentials = await Credentials.create(
      membership.signer,
      nodePrimitives,
      await boundNsm(networkId),
    );
    if ((await store.get(RESULT_SIGNER)) === undefined) {
      await store.put(RESULT_SIGNER, newResultSigner(systemRng));
    }
    const signer = await ResultSigner.open(store);
    let member: EnrollingMember | undefined;
    const enrolments = await Enrolments.open(membership, signer, {
      domain,
      store,
      trust: mockTrust(networkId),
      monotonicMs: () => member?.nowMs ?? 0,
      spki: credentials.spki,
      document: (nonce) => credentials.document(networkId, nonce),
      tell: (to, message) => member?.told.push({ to, message }),
    });
    member = new EnrollingMember(party, store, credentials, signer, () => enrolments);
    return member;
  }

  /** How others see this member. */
  get line(): Line {
    const fake: Pick<Line, 'party' | 'node'> = {
      party: this.party,
      node: {
        identity: of(this.party).signer.publicKey,
        spki: this.credentials.spki,
        // What it said in the handshake is not used in enrolments.
        document: {
          moduleId: '',
          timestampMs: 0,
          pcrs: new Map(),
          certificate: this.credentials.spki,
          caBundle: [],
          publicKey: undefined,
          userData: undefined,
          nonce: undefined,
        },
      },
    };
    return fake as Line;
  }

  /** What it asks another member. */
  async asking(other: EnrollingMember): Promise<Asking> {
    await this.enrolments.ask(other.line);
    const message = this.told.at(-1)?.message;
    if (message?.kind !== 'enrolment-asked') throw new Error('nothing was asked');
    return message;
  }

  lastSignature(): Signed {
    const message = this.told.at(-1)?.message;
    if (message?.kind !== 'enrolment-signed') throw new Error('nothing was signed');
    return message;
  }
}

export type Asking = Extract<MembershipMessage, { kind: 'enrolment-asked' }>;
export type Signed = Extract<MembershipMessage, { kind: 'enrolment-signed' }>;

/** A member gets the signatures of these. */
export async function enrol(member: EnrollingMember, signers: readonly EnrollingMember[]): Promise<void> {
  for (const signer of signers) {
    await signer.enrolments.asked(member.line, await member.asking(signer));
    await member.enrolments.signed(signer.line, signer.lastSignature());
  }
}
