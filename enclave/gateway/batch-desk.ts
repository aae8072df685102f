import { KmsError } from '../../shared/errors.ts';
import { publicLeaf, resultBatch } from '../../shared/gateway/batch.ts';
import { type TypedDomain, typedDigest } from '../../shared/gateway/eip712.ts';
import { signDigest } from '../../shared/gateway/signature.ts';
import type { Typed } from '../../shared/gateway/typed-data.ts';
import type { PartyId } from '../../shared/ids.ts';
import { Allowance } from '../../shared/protocol/allowance.ts';
import type { Membership } from '../../shared/protocol/machine.ts';
import { toHex } from '../../shared/wire/bytes.ts';
import type { ResultSigner } from '../membership/result-signer.ts';
import type { PartyWord, SignaturePool, SignedWord } from './signature-pool.ts';

export interface BatchDeskPorts {
  readonly membership: Membership;
  readonly domain: TypedDomain;
  readonly signer: ResultSigner;
  readonly pool: Pick<SignaturePool, 'collect'>;
  /** Asks a member to sign. */
  readonly propose: (to: PartyId, leaves: readonly Uint8Array[]) => void;
  /** Tells a member what this node has signed. */
  readonly tell: (to: PartyId, topic: Uint8Array, word: SignedWord) => void;
  readonly nowMs: () => number;
  /** How long a batch waits for the other members' signatures. */
  readonly waitMs: number;
}

/** What a parent brings; all of it untrusted. */
export interface BatchRequest {
  readonly epoch: bigint;
  /** In ascending order. */
  readonly leaves: readonly Uint8Array[];
}

interface Held {
  readonly digest: Uint8Array;
  readonly missing: Set<string>;
}

const NOTHING: Uint8Array = new Uint8Array(0);
/** Results that are remembered; the oldest go first, and are answered one by one. */
const MAX_SAID = 16_384;
/** A member's batches that have a result which this node has not found out yet; the oldest go first. */
const MAX_HELD_PER_PEER = 16;
/** Batches of a member that are looked at: each may cost a signature. */
const PROPOSALS_PER_PEER = 64;
const PROPOSALS_REFILL_MS = 4_000;

/**
 * Signs many results at once, of those only that this node has said one by one in this life: who composes a batch chooses among them
 * and adds nothing. Parents propose batches, their enclaves hand them on; a member that lacks a result signs when it has found it out.
 */
export class BatchDesk {
  readonly #ports: BatchDeskPorts;
  readonly #said = new Set<string>();
  /** By member, by the batch's digest. */
  readonly #held = new Map<PartyId, Map<string, Held>>();
  readonly #proposals = new Allowance(PROPOSALS_PER_PEER, PROPOSALS_REFILL_MS);

  constructor(ports: BatchDeskPorts) {
    this.#ports = ports;
  }

  /** This node has found out a result and signs it. */
  said(statement: Typed<'PublicDecryption'>): void {
    // A batch is of one epoch, and so is this node.
    if (statement.epoch !== BigInt(this.#ports.membership.epoch)) return;
    const leaf = toHex(publicLeaf(statement));
    this.#said.add(leaf);
    if (this.#said.size > MAX_SAID) {
      const [oldest] = this.#said;
      if (oldest !== undefined) this.#said.delete(oldest);
    }
    this.#release(leaf);
  }

  /**
   * @returns words of 2t+1 members or more over the batch's root, by party
   * @throws {KmsError} WRONG_EPOCH; BAD_INPUT as resultBatch(); NOT_PERMITTED for a result that this node has not said;
   *   NOT_ENOUGH_PARTIES, safe to repeat
   */
  async sign({ epoch, leaves }: BatchRequest, signal: AbortSignal): Promise<readonly PartyWord[]> {
    const { membership, pool, propose, waitMs } = this.#ports;
    if (epoch !== BigInt(membership.epoch)) {
      throw new KmsError('WRONG_EPOCH', `epoch ${membership.epoch} answers, not ${epoch}`);
    }
    const id = this.#digestOf(leaves);
    if (this.#missing(leaves).size > 0) {
      throw new KmsError('NOT_PERMITTED', 'a batch has only results that this node has said itself');
    }
    const quorum = membership.committee.decodingQuorum;
    const topic = { id, digestOf: () => id, quorum };
    return pool.collect(topic, this.#word(id), waitMs, signal, (party) => propose(party, leaves));
  }

  /**
   * A member asks for this node's word on a batch.
   * @throws {KmsError} BUSY for a member that asks too often; BAD_INPUT as resultBatch()
   */
  receive(from: PartyId, leaves: readonly Uint8Array[]): void {
    if (!this.#proposals.take(from, this.#ports.nowMs())) {
      throw new KmsError('BUSY', 'this member proposes too many batches');
    }
    const digest = this.#digestOf(leaves);
    const missing = this.#missing(leaves);
    if (missing.size === 0) this.#tell(from, digest);
    else this.#hold(from, { digest, missing });
  }

  #hold(from: PartyId, held: Held): void {
    const kept = this.#held.get(from) ?? new Map<string, Held>();
    this.#held.set(from, kept);
    const name = toHex(held.digest);
    kept.delete(name);
    kept.set(name, held);
    const [oldest] = kept.keys();
    if (kept.size > MAX_HELD_PER_PEER && oldest !== undefined) kept.delete(oldest);
  }

  #release(leaf: string): void {
    for (const [party, kept] of this.#held) {
      for (const [name, { digest, missing }] of kept) {
        missing.delete(leaf);
        if (missing.size > 0) continue;
        kept.delete(name);
        this.#tell(party, digest);
      }
    }
  }

  #missing(leaves: readonly Uint8Array[]): Set<string> {
    return new Set(leaves.map(toHex).filter((leaf) => !this.#said.has(leaf)));
  }

  #tell(to: PartyId, digest: Uint8Array): void {
    this.#ports.tell(to, digest, this.#word(digest));
  }

  #word(digest: Uint8Array): SignedWord {
    return { own: NOTHING, signature: this.#ports.signer.use((secret) => signDigest(digest, secret)) };
  }

  #digestOf(leaves: readonly Uint8Array[]): Uint8Array {
    const { domain, membership } = this.#ports;
    return typedDigest(domain, 'ResultBatch', resultBatch(BigInt(membership.epoch), leaves));
  }
}
