import { KmsError } from '../../shared/errors.ts';
import { isSignedBy } from '../../shared/gateway/signature.ts';
import type { PartyId } from '../../shared/ids.ts';
import { Allowance } from '../../shared/protocol/allowance.ts';
import { toHex } from '../../shared/wire/bytes.ts';
import { until } from '../until.ts';

export interface SignaturePoolPorts {
  readonly self: PartyId;
  readonly peers: readonly PartyId[];
  /** Address of a member's enrolled result signer; undefined while this node does not know it. */
  readonly signerOf: (party: PartyId) => Promise<Uint8Array | undefined>;
  /** @param asks whether the receiver's own word is wanted in return */
  readonly send: (to: PartyId, topic: Uint8Array, word: SignedWord, asks: boolean) => void;
  readonly nowMs: () => number;
}

/** What one member says and has signed. */
export interface SignedWord {
  /** What differs between the members' statements: nothing, or the digest of the member's share; at most 32 bytes. */
  readonly own: Uint8Array;
  /** 65 bytes. */
  readonly signature: Uint8Array;
}

export interface PartyWord extends SignedWord {
  readonly party: PartyId;
}

/** What members are to sign. */
export interface Topic {
  /** Names it; 32 bytes. */
  readonly id: Uint8Array;
  /** What a member signs if its word is this; 32 bytes. */
  readonly digestOf: (party: PartyId, own: Uint8Array) => Uint8Array;
  /** Words that an answer needs, this node's included. */
  readonly quorum: number;
}

interface Entry {
  readonly topic: Topic;
  readonly own: SignedWord;
  /** This node's included. */
  readonly words: Map<PartyId, SignedWord>;
  readonly watchers: Set<() => void>;
}

/** Topics of this node that are remembered, so that a member that comes later gets its signature. */
const MAX_ENTRIES = 4_096;
/** Of each peer, about what this node has not found out yet; the oldest go first. */
const MAX_EARLY_PER_PEER = 4_096;
/** Signatures of a peer that are not its signer's: after so many it is not heard for a while. */
const FORGERIES_PER_PEER = 16;
const FORGERIES_REFILL_MS = 3_600_000;

/**
 * Members tell each other what their result signers have signed, so that each connector has a whole answer to post. A word counts
 * here once this node has found out itself what there is to sign: nobody's word makes it sign.
 */
export class SignaturePool {
  readonly #ports: SignaturePoolPorts;
  readonly #entries = new Map<string, Entry>();
  readonly #early = new Map<PartyId, Map<string, SignedWord>>();
  readonly #signers = new Map<PartyId, Uint8Array>();
  readonly #forgeries = new Allowance(FORGERIES_PER_PEER, FORGERIES_REFILL_MS);

  constructor(ports: SignaturePoolPorts) {
    this.#ports = ports;
  }

  /**
   * This node has signed; resolves with the words of as many members as the topic needs, or more, by party.
   * @param ask how a member is asked for its word, where this node's own word does not say what it is about
   * @throws {KmsError} NOT_ENOUGH_PARTIES after that time, or when the signal aborts; safe to repeat
   */
  async collect(
    topic: Topic,
    own: SignedWord,
    waitMs: number,
    signal: AbortSignal,
    ask?: (party: PartyId) => void,
  ): Promise<readonly PartyWord[]> {
    const entry = await this.#made(topic, own);
    for (const party of this.#ports.peers) {
      if (ask === undefined) this.#ports.send(party, topic.id, entry.own, !entry.words.has(party));
      else if (!entry.words.has(party)) ask(party);
    }
    await until(() => entry.words.size >= topic.quorum, entry.watchers, waitMs, signal);
    if (entry.words.size < topic.quorum) {
      throw new KmsError(
        'NOT_ENOUGH_PARTIES',
        `${entry.words.size} members have signed, ${topic.quorum} must; repeat the request`,
      );
    }
    return [...entry.words].sort(([a], [b]) => a - b).map(([party, word]) => ({ party, ...word }));
  }

  /** A member has signed. */
  async receive(from: PartyId, topic: Uint8Array, word: SignedWord, asks: boolean): Promise<void> {
    const { nowMs, send } = this.#ports;
    if (!this.#forgeries.has(from, nowMs())) return;
    const entry = this.#entries.get(toHex(topic));
    if (entry === undefined) {
      this.#keepEarly(from, topic, word);
      return;
    }
    // Only who asks is answered, so that two never answer each other for ever.
    if (asks) send(from, topic, entry.own, false);
    await this.#count(entry, from, word);
  }

  async #made(topic: Topic, own: SignedWord): Promise<Entry> {
    const name = toHex(topic.id);
    const known = this.#entries.get(name);
    if (known !== undefined) return known;
    const { self, peers } = this.#ports;
    const entry: Entry = { topic, own, words: new Map([[self, own]]), watchers: new Set() };
    this.#entries.set(name, entry);
    for (const [oldest, { watchers }] of this.#entries) {
      if (this.#entries.size <= MAX_ENTRIES) break;
      if (watchers.size === 0 && oldest !== name) this.#entries.delete(oldest);
    }
    for (const party of peers) {
      const early = this.#early.get(party)?.get(name);
      this.#early.get(party)?.delete(name);
      if (early !== undefined) await this.#count(entry, party, early);
    }
    return entry;
  }

  /** The first word of a member counts: it has no second one about the same. */
  async #count(entry: Entry, from: PartyId, word: SignedWord): Promise<void> {
    if (entry.words.has(from)) return;
    const signer = await this.#signerOf(from);
    // Its enrolment will come; its word is asked for again when the request is repeated.
    if (signer === undefined) return;
    if (!isSignedBy(signer, entry.topic.digestOf(from, word.own), word.signature)) {
      this.#forgeries.take(from, this.#ports.nowMs());
      return;
    }
    entry.words.set(from, word);
    for (const watcher of [...entry.watchers]) watcher();
  }

  async #signerOf(party: PartyId): Promise<Uint8Array | undefined> {
    const known = this.#signers.get(party) ?? (await this.#ports.signerOf(party));
    if (known !== undefined) this.#signers.set(party, known);
    return known;
  }

  #keepEarly(from: PartyId, topic: Uint8Array, word: SignedWord): void {
    const kept = this.#early.get(from) ?? new Map<string, SignedWord>();
    this.#early.set(from, kept);
    const name = toHex(topic);
    kept.delete(name);
    kept.set(name, word);
    for (const oldest of kept.keys()) {
      if (kept.size <= MAX_EARLY_PER_PEER) break;
      kept.delete(oldest);
    }
  }
}
