import { parseUnverifiedDocument } from '../../shared/attestation/document.ts';
import type { NodeTrust, VerifiedNode } from '../../shared/attestation/node-evidence.ts';
import { verifyNode } from '../../shared/attestation/node-evidence.ts';
import { matches } from '../../shared/attestation/pcr.ts';
import { codeOf } from '../../shared/errors.ts';
import type { Log } from '../../shared/log.ts';
import type { MembershipMessage } from '../../shared/membership/messages.ts';
import { ATTESTATION_NONCE_BYTES } from '../../shared/membership/messages.ts';
import type { Hashes, Rng } from '../../shared/primitives.ts';
import { equalBytes } from '../../shared/wire/bytes.ts';
import type { Line } from '../net/line.ts';

export interface VigilTiming {
  /** A stream's peer is asked for a new document so long after its last one. */
  readonly renewMs: number;
  /** A stream whose peer has shown none for so long is closed. */
  readonly expireMs: number;
  /** A question that is not answered is repeated after this. */
  readonly repeatMs: number;
  /** No peer gets documents from this node more often. */
  readonly answerMs: number;
}

export const VIGIL_TIMING: VigilTiming = {
  renewMs: 60 * 60_000,
  expireMs: 75 * 60_000,
  repeatMs: 60_000,
  answerMs: 30_000,
};

export interface VigilPorts {
  readonly hashes: Hashes;
  readonly rng: Rng;
  readonly log: Log;
  readonly trust: NodeTrust;
  readonly monotonicMs: () => number;
  /** A new document of this node with the asker's nonce. */
  readonly document: (nonce: Uint8Array) => Promise<Uint8Array>;
  readonly tell: (line: Line, message: MembershipMessage) => void;
  readonly timing?: VigilTiming;
}

/** What is known about one connection's other end. */
interface Watched {
  attestedMs: number;
  askedMs: number;
  answeredMs: number;
  /** Not answered yet, oldest first: an answer may come after the question was repeated. */
  questions: readonly Question[];
}

interface Question {
  readonly nonce: Uint8Array;
  readonly atMs: number;
}

/** More than fit between two documents at the pace above. */
const MAX_QUESTIONS = 32;

/**
 * Keeps watch over streams that outlive the evidence they began with: asks for new documents in time, checks what comes, and
 * closes the stream of a peer that shows none, shows a bad one, or runs an image that is not allowed any more.
 */
export class Vigil {
  readonly #ports: VigilPorts;
  readonly #timing: VigilTiming;
  /** By the handshake that a connection began with. */
  readonly #watched = new WeakMap<VerifiedNode, Watched>();

  constructor(ports: VigilPorts) {
    this.#ports = ports;
    this.#timing = ports.timing ?? VIGIL_TIMING;
  }

  /** To be called often for every line. */
  tick(line: Line): void {
    const { trust, log, monotonicMs, rng, tell } = this.#ports;
    const nowMs = monotonicMs();
    const watched = this.#of(line);
    const allowed = trust.measurements();
    const { pcrs } = line.node.document;
    if (allowed !== 'unchecked' && !allowed.some((one) => matches(pcrs, one))) {
      log('warn', 'peer-not-allowed', { party: line.party, code: 'BAD_ATTESTATION' });
      line.disconnect('attestation');
    } else if (nowMs - watched.attestedMs > this.#timing.expireMs) {
      line.disconnect('attestation-expired');
    } else if (
      nowMs - watched.attestedMs >= this.#timing.renewMs &&
      nowMs - watched.askedMs >= this.#timing.repeatMs
    ) {
      watched.askedMs = nowMs;
      const nonce = rng(ATTESTATION_NONCE_BYTES);
      watched.questions = [...watched.questions, { nonce, atMs: nowMs }].slice(-MAX_QUESTIONS);
      tell(line, { kind: 'attestation-asked', nonce });
    }
  }

  async asked(line: Line, nonce: Uint8Array): Promise<void> {
    const watched = this.#of(line);
    const nowMs = this.#ports.monotonicMs();
    if (nowMs - watched.answeredMs < this.#timing.answerMs) return;
    watched.answeredMs = nowMs;
    this.#ports.tell(line, {
      kind: 'attestation-shown',
      document: await this.#ports.document(nonce),
    });
  }

  async shown(line: Line, document: Uint8Array): Promise<void> {
    const { hashes, trust, log } = this.#ports;
    const { node } = line;
    const watched = this.#of(line);
    if (watched.questions.length === 0) return;
    try {
      const { nonce: found } = parseUnverifiedDocument(document);
      const isAnswered = ({ nonce }: Question): boolean => found !== undefined && equalBytes(found, nonce);
      // Any of them refuses a document that answers none.
      const question = watched.questions.find(isAnswered) ?? watched.questions.at(-1);
      if (question === undefined) return;
      const { nonce, atMs } = question;
      watched.questions = watched.questions.filter((one) => one !== question);
      const claim = { identity: node.identity, spki: node.spki, document };
      await verifyNode(hashes, trust, claim, { kind: 'nonce', nonce });
      // It may have been kept back since: it is known to be no older than its question.
      watched.attestedMs = Math.max(watched.attestedMs, atMs);
    } catch (error) {
      log('warn', 'attestation-refused', { party: line.party, code: codeOf(error) });
      if (line.node === node) line.disconnect('attestation');
    }
  }

  #of({ node }: Line): Watched {
    const nowMs = this.#ports.monotonicMs();
    const watched = this.#watched.get(node) ?? {
      attestedMs: nowMs,
      askedMs: Number.NEGATIVE_INFINITY,
      answeredMs: Number.NEGATIVE_INFINITY,
      questions: [],
    };
    this.#watched.set(node, watched);
    return watched;
  }
}
