import { galoisElements } from '../../fhe/galois.ts';
import { keyPrimes, type Preset } from '../../fhe/presets.ts';
import type { Digest, KeyId, PartyId } from '../../ids.ts';
import type { Kernel } from '../../math/kernel/kernel.ts';
import { type Residues, Ring } from '../../math/ring.ts';
import { RobustDecoder } from '../../math/robust-decoder.ts';
import { bytesOf } from '../../wire/bytes.ts';
import { encode } from '../../wire/codec.ts';
import type { PartySignature } from '../broadcast/messages.ts';
import { type Certificate, CertificateCollector } from '../certificate.ts';
import { type Effect, type Membership, type Rng, sendToAll } from '../machine.ts';
import { Opening } from '../opening/opening.ts';
import { PrssShares } from '../prss/shares.ts';
import type { Session } from '../session/agreement.ts';
import type { SetupOutput } from '../setup/setup.ts';
import { digestBytes, digestOf, tupleDigest } from '../statement.ts';
import {
  type Element,
  elementName,
  firstRoundElements,
  type SecondRoundElement,
  secondRoundElements,
} from './elements.ts';
import { KeyShares } from './key-shares.ts';
import { type KeygenMessage, keygenMessage } from './messages.ts';
import { KEY_RECORD_VERSION, type KeyRecord } from './record.ts';
import type { KeyRequest } from './request.ts';

export interface GenerationContext {
  readonly request: KeyRequest;
  readonly preset: Preset;
  readonly key: KeyId;
  readonly session: Session;
  readonly kernel: Kernel;
  readonly rng: Rng;
}

/**
 * The openings of one key generation (protocols.md section 4), from the certified seeds to the record that the parties
 * sign. All-to-all, each party decodes for itself. Shares of round 2 leave only after n - t signatures on the digest of
 * the opened h0 and h1.
 *
 * Shares of faster parties count from the moment the session is known; this party's own leave once its seeds are
 * certified.
 */
export class Generation {
  readonly #membership: Membership;
  readonly #context: GenerationContext;
  readonly #ring: Ring;
  readonly #firstRound: ReturnType<typeof firstRoundElements>;
  readonly #secondRound: ReturnType<typeof secondRoundElements>;
  readonly #openings = new Map<string, Opening>();
  readonly #roundOne: CertificateCollector;
  #shares: KeyShares | undefined;
  #transcript: Digest | undefined;
  #roundOneDigest: Digest | undefined;
  #hasSentRoundOneCertificate = false;
  /** Elements whose share this party has not sent yet, in order. */
  readonly #due: Element[] = [];

  constructor(membership: Membership, context: GenerationContext) {
    this.#membership = membership;
    this.#context = context;
    const { preset, kernel, session, rng, request } = context;
    this.#ring = new Ring(kernel, preset.degree, keyPrimes(preset));
    this.#firstRound = firstRoundElements(preset.levels, galoisElements(preset, request.galois));
    this.#secondRound = secondRoundElements(preset.levels);
    const decoder = new RobustDecoder(this.#ring, membership.committee, rng);
    for (const element of this.#elements) {
      const name = elementName(element);
      this.#openings.set(name, new Opening(membership, { scope: session.id, name }, this.#ring, decoder));
    }
    const scope = { domain: 'relinearisation-round-1', scope: session.id } as const;
    this.#roundOne = new CertificateCollector(membership, scope);
  }

  get progress(): { readonly done: number; readonly total: number } {
    const opened = [...this.#openings.values()].filter((opening) => opening.value !== undefined);
    return { done: opened.length, total: this.#openings.size };
  }

  /** Has every participant sent its share of everything? */
  get hasHeardAll(): boolean {
    const { participants } = this.#context.session;
    return [...this.#openings.values()].every((opening) =>
      participants.every((party) => opening.hasHeard(party)),
    );
  }

  /** Parties that sent a signed wrong share in any opening. */
  get culprits(): readonly PartyId[] {
    const all = [...this.#openings.values()].flatMap((opening) => opening.culprits);
    return [...new Set(all)].sort((a, b) => a - b);
  }

  /** The seeds are certified: this party's own shares follow, one by one, by work(). */
  begin({ transcript, seeds }: SetupOutput): Effect[] {
    const { key, preset } = this.#context;
    const { primitives, committee, self, epoch } = this.#membership;
    this.#transcript = transcript;
    const prss = new PrssShares(primitives, committee, self, { key, epoch }, seeds);
    this.#shares = new KeyShares(prss, { ring: this.#ring, transcript, preset: preset.name });
    this.#due.push(...this.#firstRound, ...this.#secondRound);
    return this.work();
  }

  /** Is there a share to compute now? Each takes up to 100 ms at (13,4), so they are made one at a time. */
  get hasWork(): boolean {
    const [next] = this.#due;
    return next !== undefined && (next.kind !== 'relin-b' || this.#isRoundOneCertified);
  }

  /** Computes, signs and sends the next share of this party, if one is due. */
  work(): Effect[] {
    const [next] = this.#due;
    if (!this.hasWork || next === undefined || this.#shares === undefined) return [];
    this.#due.shift();
    const share =
      next.kind === 'relin-b' ? this.#secondRoundShare(next, this.#shares) : this.#shares.firstRound(next);
    return [...this.#contribute(next, share), ...this.advance()];
  }

  receiveShare(from: PartyId, name: string, share: Residues, signature: Uint8Array): Effect[] {
    this.#openings.get(name)?.receive(from, share, signature);
    return this.advance();
  }

  receiveRoundOne(from: PartyId, statement: Digest, by: PartySignature): Effect[] {
    if (by.party === from) this.#roundOne.add(statement, by);
    return this.advance();
  }

  receiveRoundOneCertificate(certificate: Certificate): Effect[] {
    this.#roundOne.adopt(certificate);
    return this.advance();
  }

  /** The complete record, once everything is opened and this party took part. */
  get record(): KeyRecord | undefined {
    const transcript = this.#transcript;
    const { done, total } = this.progress;
    if (transcript === undefined || done < total) return undefined;
    const { request, preset, key, session } = this.#context;
    const { networkId, epoch } = this.#membership;
    const digits = Array.from({ length: preset.levels }, (_, digit) => digit);
    return {
      version: KEY_RECORD_VERSION,
      networkId,
      epoch,
      key,
      request,
      attempt: session.attempt,
      session: session.id,
      transcript,
      publicKey: this.#opened({ kind: 'public-key' }),
      relinearisation: digits.map((digit) => ({
        b: this.#opened({ kind: 'relin-b', digit }),
        h1: this.#opened({ kind: 'relin-h1', digit }),
      })),
      galois: galoisElements(preset, request.galois).map((element) => ({
        element,
        b: digits.map((digit) => this.#opened({ kind: 'galois', element, digit })),
      })),
    };
  }

  [Symbol.dispose](): void {
    this.#shares?.[Symbol.dispose]();
  }

  /** Whatever can go on, goes on. */
  advance(): Effect[] {
    if (this.#shares === undefined) return [];
    const effects: Effect[] = [];
    if (this.#roundOneDigest === undefined && this.#isRoundOneOpen) effects.push(...this.#signRoundOne());
    const certificate = this.#roundOne.certificate;
    if (certificate !== undefined && this.#isRoundOneCertified && !this.#hasSentRoundOneCertificate) {
      this.#hasSentRoundOneCertificate = true;
      const { session } = this.#context;
      effects.push(...this.#sendAll({ kind: 'round-one-certificate', session: session.id, certificate }));
    }
    return effects;
  }

  /** n - t parties signed the h0 and h1 that this party opened: only then may a round-2 share leave. */
  get #isRoundOneCertified(): boolean {
    const certified = this.#roundOne.certificate?.statement;
    return certified !== undefined && certified === this.#roundOneDigest;
  }

  get #elements(): readonly Element[] {
    return [...this.#firstRound, ...this.#secondRound];
  }

  get #isRoundOneOpen(): boolean {
    return this.#firstRound.every((element) => this.#value(element) !== undefined);
  }

  #value(element: Element): Residues | undefined {
    return this.#openings.get(elementName(element))?.value;
  }

  #opened(element: Element): Residues {
    const value = this.#value(element);
    if (value === undefined) throw new RangeError(`${elementName(element)} is not open yet`);
    return value;
  }

  /**
   * The digest of the opened (h0, h1); a follows from the transcript, which the session's certificate fixes. Durable
   * before signed: after a crash this party speaks no more in the session, but what it signed stays on record.
   */
  #signRoundOne(): Effect[] {
    const { primitives } = this.#membership;
    const { session, key } = this.#context;
    const opened = this.#secondRound.flatMap(({ digit }) =>
      (['relin-h0', 'relin-h1'] as const).map((kind) =>
        digestBytes(digestOf(primitives, bytesOf(this.#opened({ kind, digit })))),
      ),
    );
    const transcript = digestBytes(this.#transcript ?? session.id);
    const statement = tupleDigest(primitives, 'keygen/round-one', transcript, ...opened);
    this.#roundOneDigest = statement;
    const by = this.#roundOne.sign(statement);
    return [
      { kind: 'persist', name: `keys/${key}/round-one`, record: digestBytes(statement) },
      ...this.#sendAll({ kind: 'round-one', session: session.id, statement, by }),
    ];
  }

  #secondRoundShare({ digit }: SecondRoundElement, shares: KeyShares): Residues {
    const h0 = this.#opened({ kind: 'relin-h0', digit });
    const h1 = this.#opened({ kind: 'relin-h1', digit });
    return shares.relinearisationB(digit, { h0, h1 });
  }

  #contribute(element: Element, share: Residues): Effect[] {
    const name = elementName(element);
    const opening = this.#openings.get(name);
    if (opening === undefined) return [];
    const signature = opening.contribute(share);
    return this.#sendAll({ kind: 'share', session: this.#context.session.id, name, share, signature });
  }

  #sendAll(message: KeygenMessage): Effect[] {
    return sendToAll(this.#membership, encode(keygenMessage, message));
  }
}
