import type { Digest, KeyId, PartyId } from '../../ids.ts';
import { type Codec, decode, encode, list, party, struct } from '../../wire/codec.ts';
import type { Membership } from '../machine.ts';
import type { KeySeeds } from '../prss/seeds.ts';
import { ContributionStore } from './contributions.ts';
import {
  type Contribution,
  contributionsCodec,
  type SetupMessage,
  type Transcript,
  transcriptCodec,
} from './messages.ts';
import { Commitments, dealersIn, transcriptDigest } from './transcript.ts';

/** What is sealed of an archive: no more than the seeds themselves can be derived from. */
interface ArchiveRecord {
  readonly transcript: Transcript;
  readonly held: readonly { readonly dealer: PartyId; readonly values: readonly Contribution[] }[];
}

const archiveCodec: Codec<ArchiveRecord> = struct({
  transcript: transcriptCodec,
  held: list(struct({ dealer: party, values: contributionsCodec }), 64),
});

export const archiveName = (key: KeyId): string => `keys/${key}/archive`;

/**
 * The certified transcript of a setup and the contributions one party holds under it, kept until every member of the
 * committee has its seeds: a member that was left out of the session, or restarted in it, asks the holders and checks
 * what it gets against the commitments (protocols.md section 2, step 4). Holders of a set are answered, nobody else.
 * Secret; a setup serves one key, so this holds nothing that the key's seeds do not.
 */
export class SeedArchive {
  readonly #membership: Membership;
  readonly #key: KeyId;
  /** Of the transcript: from the certified key record, or from the setup itself. */
  readonly digest: Digest;
  readonly #store: ContributionStore;
  #known:
    | {
        readonly transcript: Transcript;
        readonly dealers: readonly PartyId[];
        readonly commitments: Commitments;
      }
    | undefined;

  constructor(membership: Membership, key: KeyId, digest: Digest, store?: ContributionStore) {
    this.#membership = membership;
    this.#key = key;
    this.digest = digest;
    this.#store = store ?? new ContributionStore(membership.committee, membership.self);
  }

  /** @throws {KmsError} BAD_ENCODING */
  static decode(membership: Membership, key: KeyId, record: Uint8Array): SeedArchive {
    const { transcript, held } = decode(archiveCodec, record);
    const digest = transcriptDigest(membership.primitives, transcript);
    const archive = new SeedArchive(membership, key, digest);
    archive.#setTranscript(transcript);
    for (const { dealer, values } of held) {
      if (archive.#known !== undefined) archive.#store.take(archive.#known.commitments, dealer, values);
    }
    return archive;
  }

  /** The bytes to seal; undefined before the transcript is known. */
  encode(): Uint8Array | undefined {
    if (this.#known === undefined) return undefined;
    return encode(archiveCodec, { transcript: this.#known.transcript, held: this.#store.entries() });
  }

  /** The transcript with this archive's digest. */
  setTranscript(transcript: Transcript): void {
    if (transcriptDigest(this.#membership.primitives, transcript) === this.digest)
      this.#setTranscript(transcript);
  }

  /** What to ask every other member for; empty when nothing is lacking. */
  get questions(): readonly SetupMessage[] {
    if (this.#known === undefined) return [{ kind: 'fetch', transcript: this.digest }];
    return this.#known.dealers
      .filter((dealer) => !this.#store.isComplete(dealer))
      .map((dealer) => ({ kind: 'ask', dealer, sets: this.#store.missing(dealer) }));
  }

  /** The answer to a member's question, if this party has one. */
  answer(to: PartyId, question: SetupMessage): SetupMessage | undefined {
    if (question.kind === 'fetch') {
      if (this.#known === undefined || question.transcript !== this.digest) return undefined;
      return { kind: 'transcript', transcript: this.#known.transcript };
    }
    if (question.kind !== 'ask') return undefined;
    const values = this.#store.answer(question.dealer, to, question.sets);
    return values.length === 0 ? undefined : { kind: 'answer', dealer: question.dealer, values };
  }

  /**
   * An answer of some other member: checked against the certified digest or the commitments.
   * @returns false if it was a transcript and no news
   */
  learn(answer: SetupMessage): boolean {
    const before = this.#known;
    if (answer.kind === 'transcript' && before === undefined) this.setTranscript(answer.transcript);
    if (answer.kind === 'transcript') return this.#known !== before;
    if (answer.kind === 'answer' && this.#known !== undefined) {
      this.#store.take(this.#known.commitments, answer.dealer, answer.values);
    }
    return true;
  }

  /** The seeds, once every value is here. */
  deriveSeeds(): KeySeeds | undefined {
    if (this.#known === undefined || this.questions.length > 0) return undefined;
    const { transcript, dealers } = this.#known;
    const { primitives } = this.#membership;
    return this.#store.deriveSeeds(primitives, transcript.session, this.digest, dealers, this.#key);
  }

  [Symbol.dispose](): void {
    this.#store[Symbol.dispose]();
  }

  #setTranscript(transcript: Transcript): void {
    const { primitives, committee } = this.#membership;
    const values = transcript.participants.map((one, i) => [one, transcript.commitments[i]] as const);
    const commitments = new Commitments(primitives, committee, transcript.session, values);
    this.#known = { transcript, commitments, dealers: dealersIn(committee, transcript, commitments) };
  }
}
