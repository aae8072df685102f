import type { Digest, KeyId, PartyId } from '../../shared/ids.ts';
import { type Certificate, isCertified, keyScope } from '../../shared/protocol/certificate.ts';
import type { KeyGeneration } from '../../shared/protocol/keygen/keygen.ts';
import { keygenMessage } from '../../shared/protocol/keygen/messages.ts';
import { keyDigest } from '../../shared/protocol/keygen/record.ts';
import { setupMessage } from '../../shared/protocol/setup/messages.ts';
import { decode } from '../../shared/wire/codec.ts';
import { filesOn } from '../simulator/committee-keys.ts';
import type { Delivery, Rule, Simulation } from '../simulator/simulation.ts';

/** Signed messages are short; the long ones are shares and transcripts. */
const LONGEST_STATEMENT_BYTES = 1000;

/**
 * Watches everything that leaves honest parties and what lies on their disks, and says what no crash may ever break:
 * one statement per party and matter, silence in a session of an earlier process life, one certified record per key.
 */
export class Witness {
  /** What a party has stated about a matter, and in which life it spoke in a session. */
  readonly #statements = new Map<string, string>();
  readonly #lives = new Map<PartyId, number>();
  readonly #signers = new Map<string, { key: KeyId; parties: Set<PartyId> }>();
  readonly violations: string[] = [];

  /** To be the last rule: it sees what is really sent. */
  readonly rule: Rule = (delivery) => {
    this.#watch(delivery);
    return [delivery];
  };

  /** The party has crashed: what it says from now on it says in another life. */
  died(party: PartyId): void {
    this.#lives.set(party, this.#life(party) + 1);
  }

  /** Keys that n - t parties have signed in the open: anybody may hold their certificates. */
  certifiable(quorum: number): ReadonlySet<KeyId> {
    const enough = [...this.#signers.values()].filter(({ parties }) => parties.size >= quorum);
    return new Set(enough.map(({ key }) => key));
  }

  /**
   * Looks at every disk. @returns the keys certified on any of them
   */
  inspect(sim: Simulation<KeyGeneration>): ReadonlySet<KeyId> {
    const certified = new Map<KeyId, Certificate>();
    const records = new Set<Digest>();
    for (const party of sim.committee.parties) {
      for (const { state, record, certificate } of filesOn(sim.disk(party))) {
        if (record !== undefined) records.add(keyDigest(sim.membership(party).primitives, record));
        if (certificate === undefined) continue;
        if (!isCertified(sim.membership(party), keyScope(state.key), certificate))
          this.violations.push(`party ${party} holds an invalid certificate`);
        const before = certified.get(state.key)?.statement ?? certificate.statement;
        if (before !== certificate.statement) this.violations.push(`two certified records of ${state.key}`);
        certified.set(state.key, certificate);
      }
    }
    for (const [key, { statement }] of certified) {
      if (!records.has(statement)) this.violations.push(`nobody holds the certified record of ${key}`);
    }
    return new Set(certified.keys());
  }

  #life(party: PartyId): number {
    return this.#lives.get(party) ?? 0;
  }

  #watch({ from, message: raw }: Delivery): void {
    if (raw.length > LONGEST_STATEMENT_BYTES && raw[0] !== 2) return;
    const message = decode(keygenMessage, raw);
    if ('session' in message) this.#once(from, `life in ${message.session}`, `${this.#life(from)}`);
    if (message.kind === 'round-one') this.#once(from, `round one of ${message.session}`, message.statement);
    if (message.kind === 'setup') {
      const inner = decode(setupMessage, message.body);
      if (inner.kind === 'signature') this.#once(from, `transcript of ${message.session}`, inner.transcript);
    }
    if (message.kind !== 'key-signature') return;
    const { key, statement } = message;
    this.#once(from, `key ${key}`, statement);
    const signed = this.#signers.get(statement) ?? { key, parties: new Set() };
    signed.parties.add(from);
    this.#signers.set(statement, signed);
  }

  /** A party says one thing about a matter, for ever. */
  #once(party: PartyId, matter: string, statement: string): void {
    const name = `${party} ${matter}`;
    const before = this.#statements.get(name) ?? statement;
    if (before !== statement)
      this.violations.push(`party ${party} on ${matter}: ${before}, then ${statement}`);
    this.#statements.set(name, statement);
  }
}
