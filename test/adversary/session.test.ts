import { describe, expect, test } from 'vitest';
import { committee } from '../../shared/committee.ts';
import { digest, type PartyId, partyId } from '../../shared/ids.ts';
import type * as certificateModule from '../../shared/protocol/certificate.ts';
import { signScoped } from '../../shared/protocol/certificate.ts';
import type { Effect } from '../../shared/protocol/machine.ts';
import type * as agreementModule from '../../shared/protocol/session/agreement.ts';
import {
  type AgreementMessage,
  agreementMessage,
  type SignedNonce,
} from '../../shared/protocol/session/messages.ts';
import { signStatement } from '../../shared/protocol/statement.ts';
import { decode, encode } from '../../shared/wire/codec.ts';
import { seededRng } from '../simulator/random.ts';
import { memberships } from '../simulator/simulation.ts';
import { attackBoth, type Edit } from './mutant.ts';

type Load = <Module>(file: string) => Promise<Module>;

const SOURCE = 'shared/protocol/session/agreement.ts';
const all = memberships(committee(4, 1), 'session');
const [starter, victim, third, fourth] = [1, 2, 3, 4].map((id) => partyId(id)) as [
  PartyId,
  PartyId,
  PartyId,
  PartyId,
];
const member = (party: PartyId) => all.get(party)!;
const purpose = digest('77'.repeat(32));
const topic = (attempt: number): (string | number)[] => {
  const { networkId, configuration, epoch } = member(victim);
  return [networkId, configuration, epoch, purpose, attempt];
};

/** Party 2 as it looks for a session, in the given process life. */
async function party2(load: Load, life = 1) {
  const { SessionAgreement } = await load<typeof agreementModule>(SOURCE);
  const terms = { purpose, roundMs: 1000, firstAttempt: 0 };
  const agreement = new SessionAgreement(member(victim), terms, seededRng(`life ${life}`));
  agreement.start(0);
  return agreement;
}

type Agreement = Awaited<ReturnType<typeof party2>>;

function tell(to: Agreement, from: PartyId, message: AgreementMessage, nowMs = 10): readonly Effect[] {
  return to.receive(from, encode(agreementMessage, message), nowMs);
}

/** What party 2 answers to a starter, if it answers. */
function nonceOf(of: Agreement, attempt = 0, asking: PartyId = starter): SignedNonce | undefined {
  const [reply] = tell(of, asking, { kind: 'nonce-request', attempt });
  if (reply?.kind !== 'send') return undefined;
  const message = decode(agreementMessage, reply.message);
  return message.kind === 'nonce-reply' ? message.nonce : undefined;
}

function signedNonce(party: PartyId, seed = 5, by: PartyId = party): SignedNonce {
  const nonce = new Uint8Array(32).fill(seed);
  const signature = signStatement(member(by), 'session/nonce', ...topic(0), party, nonce);
  return { party, nonce, signature };
}

function proposal(nonces: readonly SignedNonce[], startMs = 500, by: PartyId = starter): AgreementMessage {
  const listed = nonces.flatMap(({ party, nonce }) => [party, nonce]);
  const fields = [...topic(0), startMs, nonces.length, ...listed];
  const signature = signStatement(member(by), 'session/proposal', ...fields);
  return { kind: 'proposal', attempt: 0, startMs: BigInt(startMs), nonces, signature };
}

const others = [signedNonce(third), signedNonce(fourth)];

/** Party 2 is asked for its nonce and shown what the adversary makes of it: does it join? */
const joins =
  (make: (own: SignedNonce) => AgreementMessage, nowMs = 10) =>
  async (load: Load): Promise<boolean> => {
    const agreement = await party2(load);
    const own = nonceOf(agreement);
    if (own === undefined) throw new Error('no nonce');
    tell(agreement, starter, make(own), nowMs);
    return agreement.session !== undefined;
  };

describe('session agreement', () => {
  test('session: a proper proposal is joined', async () => {
    const real: Load = (file) => import(/* @vite-ignore */ `../../${file}`);
    expect(await joins((own) => proposal([own, ...others]))(real)).toBe(true);
  });

  test.each<[string, Edit, (load: Load) => Promise<boolean>]>([
    [
      'a list that somebody else than the starter signed',
      {
        file: SOURCE,
        find: "isSigned(this.#membership, this.#starterOf(attempt), signature, 'session/proposal', ...fields) &&",
        replace: '',
      },
      joins((own) => proposal([own, ...others], 500, third)),
    ],
    [
      'a list of fewer than n - t parties',
      { file: SOURCE, find: 'nonces.length < committee.certificateQuorum || ', replace: '' },
      joins((own) => proposal([own, signedNonce(third)])),
    ],
    [
      'a list that counts a party twice',
      {
        file: SOURCE,
        find: 'if (nonces.some((one, i) => i > 0 && one.party <= nonces[i - 1]!.party)) return false;',
        replace: '',
      },
      joins((own) => proposal([own, signedNonce(third, 5), signedNonce(third, 6)])),
    ],
    [
      'a list with a nonce that its party never made',
      {
        file: SOURCE,
        find: 'nonces.every((one) => this.#isNonceSigned(one, attempt))',
        replace: 'true',
      },
      joins((own) => proposal([own, signedNonce(third), signedNonce(fourth, 5, starter)])),
    ],
    [
      'a start that is over',
      { file: SOURCE, find: '!isTimely || ', replace: '' },
      joins((own) => proposal([own, ...others], 100), 700),
    ],
    [
      'a start that is far away',
      { file: SOURCE, find: '!isTimely || ', replace: '' },
      joins((own) => proposal([own, ...others], 100_000)),
    ],
    [
      'a list with its nonce of an earlier process life',
      { file: SOURCE, find: ' || !equalBytes(own.nonce, listed.nonce)', replace: '' },
      async (load) => {
        const before = nonceOf(await party2(load, 1));
        const agreement = await party2(load, 2);
        if (before === undefined || nonceOf(agreement) === undefined) throw new Error('no nonce');
        tell(agreement, starter, proposal([before, ...others]));
        return agreement.session !== undefined;
      },
    ],
  ])('session: nobody joins %s', async (name, edit, attack) => {
    const outcome = await attackBoth(`join-${name.replaceAll(' ', '-')}`, [edit], attack);
    expect(outcome).toEqual({ withRule: false, withoutRule: true });
  });

  test.each<[string, Edit, (agreement: Agreement) => boolean]>([
    [
      'a starter whose turn is far away',
      { file: SOURCE, find: ' || attempt > this.#attempt + 1', replace: '' },
      (agreement) => nonceOf(agreement, 4) !== undefined,
    ],
    [
      'a party whose turn it is not',
      { file: SOURCE, find: 'if (from !== this.#starterOf(attempt)) return [];', replace: '' },
      (agreement) => nonceOf(agreement, 0, third) !== undefined,
    ],
  ])('session: no nonce for %s', async (name, edit, attack) => {
    const outcome = await attackBoth(`nonce-${name.replaceAll(' ', '-')}`, [edit], async (load) =>
      attack(await party2(load)),
    );
    expect(outcome).toEqual({ withRule: false, withoutRule: true });
  });

  async function afterSecondList(load: Load, by: PartyId): Promise<boolean> {
    const agreement = await party2(load);
    const own = nonceOf(agreement);
    if (own === undefined) throw new Error('no nonce');
    tell(agreement, starter, proposal([own, ...others], 500));
    const { session } = agreement;
    tell(agreement, third, proposal([own, ...others], 501, by));
    // One list per attempt, whatever else is shown.
    expect(agreement.session).toEqual(session);
    return agreement.isRefuted;
  }

  test('session: two lists that the starter signed end the session', async () => {
    const edit = { file: SOURCE, find: 'this.#isRefuted = this.#isProposed(proposal);', replace: '' };
    const outcome = await attackBoth(
      'two-lists',
      [edit],
      async (load) => !(await afterSecondList(load, starter)),
    );
    expect(outcome).toEqual({ withRule: false, withoutRule: true });
  });

  test('session: a second list that the starter did not sign ends nothing', async () => {
    const find = 'this.#isRefuted = this.#isProposed(proposal);';
    const edit = { file: SOURCE, find, replace: 'this.#isRefuted = true;' };
    const outcome = await attackBoth('forged-list', [edit], (load) => afterSecondList(load, third));
    expect(outcome).toEqual({ withRule: false, withoutRule: true });
  });
});

describe('certificates', () => {
  const CERTIFICATE = 'shared/protocol/certificate.ts';
  const scope = { domain: 'transcript', scope: digest('11'.repeat(32)) } as const;
  const statement = digest('22'.repeat(32));
  const by = (...parties: PartyId[]) => parties.map((party) => signScoped(member(party), scope, statement));

  test.each<[string, Edit, () => ReturnType<typeof by>]>([
    [
      'of fewer than n - t parties',
      {
        file: CERTIFICATE,
        find: 'signers.size >= among.committee.certificateQuorum &&',
        replace: '',
      },
      () => by(third, fourth),
    ],
    [
      'with a signature of another scope',
      {
        file: CERTIFICATE,
        find: 'certificate.signatures.every((one) => isScopedSignature(among, scope, certificate.statement, one))',
        replace: 'true',
      },
      () => [
        ...by(third, fourth),
        signScoped(member(starter), { domain: 'key', scope: digest('11'.repeat(32)) }, statement),
      ],
    ],
  ])('certificate: one %s is none', async (name, edit, signatures) => {
    const outcome = await attackBoth(`certificate-${name.replaceAll(' ', '-')}`, [edit], async (load) => {
      const { isCertified } = await load<typeof certificateModule>(CERTIFICATE);
      return isCertified(member(victim), scope, { statement, signatures: signatures() });
    });
    expect(outcome).toEqual({ withRule: false, withoutRule: true });
  });
});
