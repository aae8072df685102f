import type { KeyId, PartyId } from '../../ids.ts';
import { type Effect, type Membership, peersOf } from '../machine.ts';
import { KeySeeds } from '../prss/seeds.ts';
import { archiveName, SeedArchive } from '../setup/archive.ts';
import type { SetupMessage } from '../setup/messages.ts';
import { type HeldSeeds, sealSeeds } from '../setup/setup.ts';
import type { KeyFiles } from './files.ts';
import type { KeyRecord } from './record.ts';

/**
 * The seeds of one key at this party: those of its session, those it gets later from other members because it missed the
 * session or restarted in it, and what it keeps for members in that position (protocols.md section 2, step 4). Secret.
 */
export class SeedCustody {
  readonly #membership: Membership;
  readonly #key: KeyId;
  /** Peers known to hold their seeds. */
  readonly #seeded = new Set<PartyId>();
  #held: HeldSeeds | undefined;
  /** Asks the others for seeds this party missed. */
  #recovery: SeedArchive | undefined;

  constructor(membership: Membership, key: KeyId) {
    this.#membership = membership;
    this.#key = key;
  }

  /** Takes back what this party has made durable. @throws {KmsError} BAD_ENCODING */
  restore({ seeds, archive }: Pick<KeyFiles, 'seeds' | 'archive'>): void {
    if (seeds === undefined) return;
    const { committee, self } = this.#membership;
    const archived = archive && SeedArchive.decode(this.#membership, this.#key, archive);
    this.#held = {
      transcript: seeds.transcript,
      seeds: new KeySeeds(committee, self, seeds.seeds),
      archive: archived?.digest === seeds.transcript ? archived : undefined,
    };
  }

  /** Seeds that this party has made durable in a session. @returns false if it has them already */
  hold(held: HeldSeeds): boolean {
    if (this.#held?.transcript === held.transcript) return false;
    this.#held = held;
    return true;
  }

  /** Seeds under the transcript of this record, if this party has them. */
  of(record: KeyRecord): KeySeeds | undefined {
    return this.#held?.transcript === record.transcript ? this.#held.seeds : undefined;
  }

  /** Contributions are still kept for other members. */
  get isOpen(): boolean {
    return this.#held?.archive !== undefined;
  }

  /** The peer says that it holds its seeds durably. */
  noteSeeded(peer: PartyId): void {
    this.#seeded.add(peer);
  }

  /** Peers that may still lack their seeds. */
  get unseeded(): readonly PartyId[] {
    return peersOf(this.#membership).filter((peer) => !this.#seeded.has(peer));
  }

  /** What to ask every other member for; nothing if this party has its seeds. */
  questions(record: KeyRecord): readonly SetupMessage[] {
    if (this.of(record) !== undefined) return [];
    this.#recovery ??= new SeedArchive(this.#membership, this.#key, record.transcript);
    return this.#recovery.questions;
  }

  /** The answer to a member's question, if this party has one. */
  answer(to: PartyId, question: SetupMessage): SetupMessage | undefined {
    return this.#held?.archive?.answer(to, question);
  }

  /**
   * An answer of some member, checked against the certified transcript.
   * @returns what makes the seeds durable once they are complete; or whether there is more to ask for now
   */
  learn(record: KeyRecord, message: SetupMessage): readonly Effect[] | 'ask' | 'wait' {
    const recovery = this.#recovery;
    if (recovery === undefined) return 'wait';
    const isNew = recovery.learn(message);
    const seeds = recovery.deriveSeeds();
    if (seeds === undefined) return isNew && message.kind === 'transcript' ? 'ask' : 'wait';
    this.#held = { transcript: record.transcript, seeds, archive: recovery };
    this.#recovery = undefined;
    return sealSeeds({ key: this.#key, session: record.session, archive: recovery, seeds });
  }

  /** Every member has its seeds, this party too: the contributions have served and go. */
  close(record: KeyRecord): readonly Effect[] {
    const archive = this.#held?.archive;
    if (this.#held === undefined || archive === undefined || this.of(record) === undefined) return [];
    if (this.unseeded.length > 0) return [];
    archive[Symbol.dispose]();
    this.#held = { ...this.#held, archive: undefined };
    return [{ kind: 'erase', name: archiveName(this.#key) }];
  }

  /** Erases everything: nobody can be owed a share of this key any more. */
  [Symbol.dispose](): void {
    this.#held?.seeds[Symbol.dispose]();
    this.#held?.archive?.[Symbol.dispose]();
    this.#held = undefined;
  }
}
