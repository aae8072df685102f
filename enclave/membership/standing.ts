import type { NodeTrust } from '../../shared/attestation/node-evidence.ts';
import { codeOf, KmsError } from '../../shared/errors.ts';
import type { TypedDomain } from '../../shared/gateway/eip712.ts';
import type { PartyId } from '../../shared/ids.ts';
import type { Log } from '../../shared/log.ts';
import {
  CLOCK_NONCE_BYTES,
  type ClockReading,
  isClockReading,
  signClockReading,
} from '../../shared/membership/clock-reading.ts';
import { type Incarnation, tlsKeyOf } from '../../shared/membership/incarnation.ts';
import type { MembershipMessage, SealMessage } from '../../shared/membership/messages.ts';
import type { Rng } from '../../shared/primitives.ts';
import { Forgeries } from '../../shared/protocol/forgeries.ts';
import type { Membership } from '../../shared/protocol/machine.ts';
import { peerMessage } from '../../shared/protocol/peer-message.ts';
import { encode } from '../../shared/wire/codec.ts';
import type { Line } from '../net/line.ts';
import type { SealedStore } from '../store/sealed-store.ts';
import { ClockSupport } from './clock-support.ts';
import { Enrolments } from './enrolments.ts';
import { costOf, MALFORMED_COST, MessageBudget } from './message-budget.ts';
import { OwnIncarnation } from './own-incarnation.ts';
import { PeerIncarnations } from './peer-incarnations.ts';
import { ResultSigner } from './result-signer.ts';
import { Vigil, type VigilTiming } from './vigil.ts';

export interface StandingTiming {
  readonly tickMs: number;
  /** How often each member is asked for its clock. */
  readonly clockMs: number;
  readonly vigil?: VigilTiming;
}

export const STANDING_TIMING: StandingTiming = { tickMs: 1_000, clockMs: 30_000 };

/** What members say about each other's sealed storage. */
export interface SealTalk {
  /** @param incarnation number of the process at the other end, the member's latest. @throws {KmsError} */
  receive(line: Line, message: SealMessage, incarnation: number): Promise<void>;
  /** The latest process of a member is connected and admitted. */
  onLine(line: Line): void;
}

export interface StandingPorts {
  /** Tier 1: what this node must know before it has unsealed, and may forget without harm to itself. */
  readonly store: SealedStore;
  readonly seal: SealTalk;
  /** Of the network's contracts; undefined if it has none. */
  readonly domain: TypedDomain | undefined;
  readonly rng: Rng;
  readonly log: Log;
  readonly trust: NodeTrust;
  /** Enclave time. */
  readonly nowMs: () => number;
  readonly monotonicMs?: () => number;
  /** DER SubjectPublicKeyInfo of this boot's TLS key. */
  readonly spki: Uint8Array;
  readonly document: (nonce: Uint8Array) => Promise<Uint8Array>;
  /** Processes of members that are connected now. */
  readonly lines: () => readonly Line[];
  readonly isAdmitted: (line: Line) => boolean;
  /** True while this node may sign statements: enrolments wait for it. */
  readonly mayEnrol: () => boolean;
  /** Something changed that may change the phase; also called every tick. */
  readonly onChange: () => void;
  readonly timing?: StandingTiming;
}

interface StandingParts {
  readonly forgeries: Forgeries;
  readonly own: OwnIncarnation;
  readonly peers: PeerIncarnations;
}

/**
 * This node among its peers: that they know this boot and no later one, that they agree about the time, that their streams
 * stay attested, and that they enrol its signer. Everything here is said before and beside the protocols.
 */
export class Standing {
  readonly #membership: Membership;
  readonly #forgeries: Forgeries;
  readonly #ports: StandingPorts;
  readonly #timing: StandingTiming;
  readonly #monotonicMs: () => number;
  readonly #own: OwnIncarnation;
  readonly #peers: PeerIncarnations;
  #enrolments: Enrolments | undefined;
  readonly #clock: ClockSupport;
  readonly #vigil: Vigil;
  readonly #budget: MessageBudget;
  readonly #clockAsked = new WeakMap<Line, number>();
  #timer: NodeJS.Timeout | undefined;

  private constructor(membership: Membership, ports: StandingPorts, parts: StandingParts) {
    this.#membership = membership;
    this.#forgeries = parts.forgeries;
    this.#ports = ports;
    this.#timing = ports.timing ?? STANDING_TIMING;
    this.#monotonicMs = monotonic(ports);
    this.#own = parts.own;
    this.#peers = parts.peers;
    this.#budget = new MessageBudget(this.#monotonicMs);
    this.#clock = new ClockSupport(membership.committee.t + 1);
    const { rng, log, trust, document } = ports;
    this.#vigil = new Vigil({
      ...{ rng, log, trust, document, tell, hashes: membership.primitives, monotonicMs: this.#monotonicMs },
      ...(this.#timing.vigil === undefined ? {} : { timing: this.#timing.vigil }),
    });
  }

  /** Takes this boot's number. @throws {KmsError} STORE_FAILED */
  static async open(of: Membership, ports: StandingPorts): Promise<Standing> {
    const forgeries = new Forgeries();
    const membership = forgeries.watch(of);
    const { store, spki } = ports;
    return new Standing(membership, ports, {
      forgeries,
      own: await OwnIncarnation.open(membership, store, tlsKeyOf(membership.primitives, spki)),
      peers: await PeerIncarnations.open(membership, store),
    });
  }

  /**
   * From now on this node enrols others and wants its own signer enrolled.
   * @param store tier 2. @returns its signer @throws {KmsError} STORE_FAILED
   */
  async enrol(store: SealedStore): Promise<ResultSigner> {
    const { domain, trust, spki, document } = this.#ports;
    const signer = await ResultSigner.open(store);
    this.#enrolments = await Enrolments.open(this.#membership, signer, {
      ...{ domain, store, trust, spki, document, monotonicMs: this.#monotonicMs, tell },
    });
    return signer;
  }

  get incarnation(): Incarnation {
    return this.#own.record;
  }

  get isAcknowledged(): boolean {
    return this.#own.isAcknowledged;
  }

  get isSuperseded(): boolean {
    return this.#own.isSuperseded;
  }

  get isClockGood(): boolean {
    return this.#clock.isGood(this.#monotonicMs());
  }

  get enrolment(): Enrolments['enrolment'] {
    return this.#enrolments?.enrolment;
  }

  /** Address of a member's result signer, once this node has vouched for it. @throws {KmsError} STORE_FAILED */
  async signerOf(party: PartyId): Promise<Uint8Array | undefined> {
    return this.#enrolments?.signerOf(party);
  }

  start(): void {
    this.#timer = setInterval(() => this.#tick(), this.#timing.tickMs).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** A process of a member has connected. */
  onLine(line: Line): void {
    tell(line, { kind: 'incarnation', record: this.#own.record });
    this.#askClock(line);
  }

  /** What a process is told that a later one of its identity has displaced. */
  onDisplaced({ party }: Line): Uint8Array {
    return encodeMessage({ kind: 'incarnation-refused', highest: this.#peers.highestOf(party) });
  }

  /** True if this process is the member's latest: only such a one is heard in protocols. */
  isCurrent(line: Line): boolean {
    return this.#peers.isCurrent(line.party, tlsKeyOf(this.#membership.primitives, line.node.spki));
  }

  /**
   * Resolves when the message has been dealt with, which is later for a member that sends more than it may.
   * @throws {KmsError} BAD_PEER, BAD_ATTESTATION, CONFLICT, STORE_FAILED: the message was worth nothing
   */
  async receive(line: Line, message: MembershipMessage): Promise<void> {
    await this.#budget.take(line.party, costOf(message));
    // Every signature of a message is verified before its handling waits for anything.
    await this.#forgeries.hear(line.party, this.#monotonicMs(), () => this.#handle(line, message));
  }

  async #handle(line: Line, message: MembershipMessage): Promise<void> {
    switch (message.kind) {
      case 'incarnation':
        return this.#receiveIncarnation(line, message.record);
      case 'incarnation-acknowledged':
        this.#own.acknowledged(line.party, message.signature);
        return this.#ports.onChange();
      case 'incarnation-refused':
        return this.#receiveRefusal(line, message.highest);
      case 'clock-asked':
        return this.#readClock(line, message.nonce);
      case 'clock-read':
        return this.#receiveReading(line, message.reading);
      case 'attestation-asked':
        return this.#vigil.asked(line, message.nonce);
      case 'attestation-shown':
        return this.#vigil.shown(line, message.document);
      case 'enrolment-asked':
        if (this.#ports.mayEnrol() && this.#ports.isAdmitted(line))
          this.#aside(line, this.#enrolments?.asked(line, message));
        return;
      case 'enrolment-signed':
        return this.#aside(line, this.#enrolments?.signed(line, message));
      default:
        return this.#receiveSeal(line, message);
    }
  }

  /**
   * What changes this node's own state takes effect when others say so, on the very streams that such a message must not
   * hold up.
   */
  #aside(line: Line, work: Promise<void> | undefined): void {
    work?.catch((error: unknown) => {
      this.#ports.log('warn', 'message-dropped', { party: line.party, code: codeOf(error) });
    });
  }

  async #receiveSeal(line: Line, message: SealMessage): Promise<void> {
    const number = this.#peers.highestOf(line.party)?.number;
    if (number === undefined || !this.isCurrent(line)) {
      throw new KmsError('BAD_PEER', 'not the latest boot of this member');
    }
    await this.#ports.seal.receive(line, message, number);
  }

  /** Resolves when a member that sent what cannot be read may be read again. */
  receivedMalformed(from: PartyId): Promise<void> {
    return this.#budget.take(from, MALFORMED_COST);
  }

  async #receiveIncarnation(line: Line, record: Incarnation): Promise<void> {
    const tlsKey = tlsKeyOf(this.#membership.primitives, line.node.spki);
    const verdict = await this.#peers.take({ party: line.party, tlsKey }, record);
    if (verdict.kind === 'refused') {
      this.#ports.log('warn', 'incarnation-refused', { party: line.party });
      tell(line, { kind: 'incarnation-refused', highest: verdict.highest });
    } else if (this.isCurrent(line)) {
      tell(line, { kind: 'incarnation-acknowledged', signature: verdict.signature });
      line.admit();
      this.#ports.seal.onLine(line);
    }
  }

  async #receiveRefusal(line: Line, highest: Incarnation | undefined): Promise<void> {
    const outcome = await this.#own.refused(line.party, highest);
    if (outcome === 'ignored') return;
    const { number } = this.#own.record;
    const event = outcome === 'renumbered' ? 'incarnation-renumbered' : 'incarnation-superseded';
    this.#ports.log('warn', event, { party: line.party, count: number });
    if (outcome === 'renumbered') {
      for (const each of this.#ports.lines()) tell(each, { kind: 'incarnation', record: this.#own.record });
    }
    this.#ports.onChange();
  }

  #askClock(line: Line): void {
    const nonce = this.#ports.rng(CLOCK_NONCE_BYTES);
    this.#clockAsked.set(line, this.#monotonicMs());
    this.#clock.asked(line.party, nonce, this.#monotonicMs());
    tell(line, { kind: 'clock-asked', nonce });
  }

  #readClock(line: Line, nonce: Uint8Array): void {
    const reading = signClockReading(this.#membership, line.party, nonce, this.#ports.nowMs());
    tell(line, { kind: 'clock-read', reading });
  }

  #receiveReading(line: Line, reading: ClockReading): void {
    if (!isClockReading(this.#membership, line.party, reading)) return;
    this.#clock.read(line.party, reading, this.#ports.nowMs(), this.#monotonicMs());
    this.#ports.onChange();
  }

  #tick(): void {
    const { lines, isAdmitted, mayEnrol, onChange } = this.#ports;
    for (const line of lines()) {
      this.#vigil.tick(line);
      const askedMs = this.#clockAsked.get(line) ?? Number.NEGATIVE_INFINITY;
      if (this.#monotonicMs() - askedMs >= this.#timing.clockMs) this.#askClock(line);
      if (mayEnrol() && isAdmitted(line)) {
        this.#enrolments?.ask(line).catch((error: unknown) => {
          this.#ports.log('warn', 'enrolment-not-asked', { party: line.party, code: codeOf(error) });
        });
      }
    }
    onChange();
  }
}

function monotonic({ monotonicMs }: StandingPorts): () => number {
  return monotonicMs ?? (() => performance.now());
}

function encodeMessage(message: MembershipMessage): Uint8Array {
  return encode(peerMessage, { kind: 'membership', message });
}

/** Queues a message for the process at the other end. */
export function tell(line: Line, message: MembershipMessage): void {
  line.tell(encodeMessage(message));
}
