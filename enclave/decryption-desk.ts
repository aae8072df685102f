import { setImmediate as nextTurn } from 'node:timers/promises';
import { KmsError } from '../shared/errors.ts';
import type { Envelope } from '../shared/fhe/envelope.ts';
import { type Preset, presetByName } from '../shared/fhe/presets.ts';
import type { Value } from '../shared/fhe/value.ts';
import type { Digest, PartyId } from '../shared/ids.ts';
import type { Kernel } from '../shared/math/kernel/kernel.ts';
import { type Residues, Ring } from '../shared/math/ring.ts';
import type { Rng } from '../shared/primitives.ts';
import { decryptionScope, PublicDecryption } from '../shared/protocol/decryption/public-decryption.ts';
import { type DecryptionTask, requireKey, taskOf } from '../shared/protocol/decryption/task.ts';
import { Forgeries } from '../shared/protocol/forgeries.ts';
import type { Membership } from '../shared/protocol/machine.ts';
import { type PeerMessage, peerMessage } from '../shared/protocol/peer-message.ts';
import { sealShare, shareAad, userKeyDigest } from '../shared/protocol/user-decryption/sealed-share.ts';
import { encode } from '../shared/wire/codec.ts';
import { EarlyShares } from './early-shares.ts';
import type { KeyRing } from './key-ring.ts';
import { until } from './until.ts';

export interface DeskPorts {
  readonly membership: Membership;
  readonly kernel: Kernel;
  readonly keys: KeyRing;
  readonly rng: Rng;
  readonly send: (to: PartyId, payload: Uint8Array) => void;
  readonly connected: () => readonly PartyId[];
  /** Parties that signed wrong shares of a value, whenever one more share has come. */
  readonly onWrongShares: (parties: readonly PartyId[]) => void;
}

/** A value, and the parties that were seen signing wrong shares of it. */
export interface OpenedValue {
  readonly value: Value;
  readonly culprits: readonly PartyId[];
}

export interface DeskLimits {
  /** How long a public decryption waits for 2t+1 agreeing shares. */
  readonly waitMs: number;
  /** How long it waits, once it has a value, for the shares of connected parties: they may show a culprit. */
  readonly graceMs: number;
  /** Decryptions remembered after their answer, so that a party that comes later finds its shares. */
  readonly remembered: number;
}

export const DESK_LIMITS: DeskLimits = { waitMs: 10_000, graceMs: 100, remembered: 256 };
const MAX_SCALAR_BATCH = 64;

type Share = Extract<PeerMessage, { kind: 'decryption-share' }>;

interface Pending {
  readonly task: DecryptionTask;
  readonly decryption: PublicDecryption;
  /** This party's own signed share, ready to send again. */
  message: Uint8Array | undefined;
  readonly watchers: Set<() => void>;
}

/**
 * Decrypts whatever it is given under a key that this node has a share of. That a chain asked for it is for its caller to
 * know (gateway/gateway-desk.ts): whoever has a ciphertext of his own making decrypted has the key (protocols.md section 5).
 */
export class DecryptionDesk {
  readonly #ports: DeskPorts;
  readonly #limits: DeskLimits;
  readonly #forgeries = new Forgeries();
  readonly #rings = new Map<string, Ring>();
  readonly #pending = new Map<Digest, Pending>();
  readonly #early = new EarlyShares();
  readonly #scalars: {
    task: DecryptionTask;
    resolve: (share: Residues) => void;
    reject: (e: unknown) => void;
  }[] = [];
  #lastVector: Promise<void> = Promise.resolve();
  /** Connected parties that let the last grace period pass: not waited for again until they answer. */
  readonly #laggards = new Set<PartyId>();

  constructor(ports: DeskPorts, limits: DeskLimits = DESK_LIMITS) {
    this.#ports = { ...ports, membership: this.#forgeries.watch(ports.membership) };
    this.#limits = limits;
  }

  /**
   * The value of a ciphertext, decrypted together with the others that were asked for it.
   * @throws {KmsError} what taskOf throws; UNKNOWN_KEY, WRONG_KEY; NOT_ENOUGH_PARTIES, safe to repeat
   */
  async open(envelope: Envelope, signal: AbortSignal): Promise<OpenedValue> {
    const pending = await this.#open(this.#task(envelope));
    await this.#settled(pending, signal);
    const { value, culprits, heard } = pending.decryption;
    if (value !== undefined) return { value, culprits };
    const { parties } = this.#ports.membership.committee;
    throw new NotEnoughParties(parties.filter((party) => !heard.includes(party)));
  }

  /**
   * User decryption: this node's partial decryption, sealed to the user and signed.
   * @param requestId 32 bytes @param userKey X-Wing public key
   * @param rngOf of what is sealed, for whoever seals the same twice; its argument is secret
   * @throws {KmsError} as open(), BAD_INPUT
   */
  async seal(
    envelope: Envelope,
    requestId: Uint8Array,
    userKey: Uint8Array,
    rngOf: (sealed: Uint8Array) => Rng = () => this.#ports.rng,
  ): Promise<Uint8Array> {
    const { membership } = this.#ports;
    const { networkId, epoch, primitives, self, signer } = membership;
    const task = this.#task(envelope);
    const share = await this.#partial(task);
    const { key, ciphertext, kind, preset } = task;
    const scope = {
      request: requestId,
      networkId,
      key,
      epoch,
      ciphertext,
      userKey: userKeyDigest(primitives, userKey),
      kind,
      level: preset.decryptionLevel,
    };
    try {
      // Every field that is bound, and the share itself.
      const bytes = new Uint8Array(share.buffer, share.byteOffset, share.byteLength);
      const rng = rngOf(primitives.sha256(shareAad(primitives, scope, self), bytes));
      return await sealShare(scope, { party: self, signer }, share, userKey, primitives, rng);
    } finally {
      share.fill(0n);
    }
  }

  /** A peer's share. Kept for a while if the request has not reached this node yet. */
  receive(from: PartyId, message: Share): void {
    this.#forgeries.hear(from, performance.now(), () => this.#take(from, message));
  }

  #take(from: PartyId, message: Share): void {
    this.#laggards.delete(from);
    const { scope } = decryptionScope(this.#ports.membership, { ...message, kind: message.value });
    const pending = this.#pending.get(idOf(scope, message.value));
    if (pending === undefined) this.#early.add(from, idOf(scope, message.value), message);
    else this.#count(pending, from, message);
  }

  #task(envelope: Envelope): DecryptionTask {
    const { keys } = this.#ports;
    const task = taskOf(envelope, (preset) => this.#ring(preset));
    requireKey(task, task.key, keys.decryptor(task.key).preset);
    return task;
  }

  #ring(preset: Preset): Ring {
    const known = this.#rings.get(preset.name);
    if (known !== undefined) return known;
    const { degree, dataPrimes } = presetByName(preset.name);
    const ring = new Ring(this.#ports.kernel, degree, dataPrimes);
    this.#rings.set(preset.name, ring);
    return ring;
  }

  /** Starts a decryption, or repeats this party's share of one that runs or has run. */
  async #open(task: DecryptionTask): Promise<Pending> {
    const { membership, keys, rng } = this.#ports;
    const { scope } = decryptionScope(membership, task);
    const id = idOf(scope, task.kind);
    const known = this.#pending.get(id);
    if (known !== undefined) {
      if (known.message !== undefined) this.#sendAll(known.message);
      return known;
    }
    const decryption = new PublicDecryption(membership, task, keys.decryptor(task.key).ring, rng);
    const pending: Pending = { task, decryption, message: undefined, watchers: new Set() };
    this.#makeRoom();
    this.#pending.set(id, pending);
    try {
      const share = await this.#partial(task);
      const signature = decryption.contribute(share);
      const { key, ciphertext, kind: value } = task;
      pending.message = encode(peerMessage, {
        kind: 'decryption-share',
        key,
        ciphertext,
        value,
        share,
        signature,
      });
    } catch (error) {
      this.#pending.delete(id);
      throw error;
    }
    this.#sendAll(pending.message);
    for (const [from, message] of this.#early.take(id)) this.#count(pending, from, message);
    return pending;
  }

  #count(pending: Pending, from: PartyId, { share, signature }: Share): void {
    const { decryption } = pending;
    this.#forgeries.hear(from, performance.now(), () => decryption.receive(from, share, signature));
    this.#ports.onWrongShares(decryption.culprits);
    for (const watcher of [...pending.watchers]) watcher();
  }

  /** Answered decryptions go first; those that somebody still waits for never. @throws {KmsError} BUSY */
  #makeRoom(): void {
    for (const [id, { decryption, watchers }] of this.#pending) {
      if (this.#pending.size < this.#limits.remembered) return;
      if (decryption.value !== undefined && watchers.size === 0) this.#pending.delete(id);
    }
    if (this.#pending.size < this.#limits.remembered) return;
    for (const [id, { watchers }] of this.#pending) {
      if (watchers.size > 0) continue;
      this.#pending.delete(id);
      return;
    }
    throw new KmsError('BUSY', 'too many decryptions wait for other parties; repeat the request later');
  }

  /** Waits for a value, and then shortly for the other connected parties. */
  async #settled(pending: Pending, signal: AbortSignal): Promise<void> {
    const { decryption } = pending;
    await until(() => decryption.value !== undefined, pending.watchers, this.#limits.waitMs, signal);
    if (decryption.value === undefined) return;
    const awaited = (): readonly PartyId[] =>
      this.#ports
        .connected()
        .filter((party) => !decryption.heard.includes(party) && !decryption.culprits.includes(party))
        .filter((party) => !this.#laggards.has(party));
    await until(() => awaited().length === 0, pending.watchers, this.#limits.graceMs, signal);
    for (const party of awaited()) this.#laggards.add(party);
  }

  #sendAll(payload: Uint8Array): void {
    const { membership, send } = this.#ports;
    for (const party of membership.committee.parties) if (party !== membership.self) send(party, payload);
  }

  /** Scalars that wait together are answered together: one pass over the seeds for up to 64 of them. */
  #partial(task: DecryptionTask): Promise<Residues> {
    if (task.kind === 'vector') return this.#vector(task);
    return new Promise((resolve, reject) => {
      this.#scalars.push({ task, resolve, reject });
      if (this.#scalars.length === 1) setImmediate(() => this.#flushScalars());
    });
  }

  /** One in each turn of the event loop: it takes long, and one request may bring dozens. */
  #vector(task: DecryptionTask): Promise<Residues> {
    const share = this.#lastVector
      .then(() => nextTurn())
      .then(() => this.#ports.keys.decryptor(task.key).partial(task));
    this.#lastVector = share.then(
      () => undefined,
      () => undefined,
    );
    return share;
  }

  #flushScalars(): void {
    const waiting = this.#scalars.splice(0);
    const byKey = Map.groupBy(waiting, ({ task }) => task.key);
    for (const [key, all] of byKey) {
      for (let at = 0; at < all.length; at += MAX_SCALAR_BATCH) {
        const batch = all.slice(at, at + MAX_SCALAR_BATCH);
        try {
          const shares = this.#ports.keys.decryptor(key).scalars(batch.map(({ task }) => task));
          for (const [i, one] of batch.entries()) one.resolve(shares[i] ?? new BigUint64Array(0));
        } catch (error) {
          for (const one of batch) one.reject(error);
        }
      }
    }
  }
}

/** Fewer than 2t+1 agreeing shares in time. The missing parties reach the client. */
export class NotEnoughParties extends KmsError {
  readonly missing: readonly PartyId[];

  constructor(missing: readonly PartyId[]) {
    super(
      'NOT_ENOUGH_PARTIES',
      `no 2t+1 agreeing shares; missing: parties ${missing.join(', ')}. Repeat the request.`,
    );
    this.missing = missing;
  }
}

function idOf(scope: Digest, kind: DecryptionTask['kind']): Digest {
  return `${scope}/${kind}` as Digest;
}
