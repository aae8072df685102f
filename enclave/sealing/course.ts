import { KmsError } from '../../shared/errors.ts';
import type { AnchoredState } from '../../shared/sealing/anchor.ts';
import { decode, digest32, encode, list, struct, u8, u32, u64 } from '../../shared/wire/codec.ts';
import type { Changes, SealedStore } from '../store/sealed-store.ts';
import type { StateVersion } from '../store/versioned-store.ts';

/** A state of this node, and the enclave time from which it was there. */
interface Station extends StateVersion {
  readonly atMs: number;
}

/** `old`: another course of this node is anchored, or this one further than it has come; it was turned back. */
export type CourseVerdict = 'settled' | 'ahead' | 'old';

const RECORD = 'anchor/course';
const FORMAT = 1;
/** With so many states that are not known to be anchored a node does no work: what it forgot it could not hold against an anchor. */
const FULL = 768;
/** Room for what goes on meanwhile. */
const MAX_STATIONS = 1024;

const codec = struct({
  format: u8,
  /** Of the state that holds this record: an image that keeps no course leaves an old one in its states. */
  version: u32,
  settledMs: u64,
  /** When that version was written. */
  writtenMs: u64,
  stations: list(struct({ version: u32, digest: digest32, atMs: u64 }), MAX_STATIONS),
});

/**
 * The states through which a node has come since the newest one that is known to be anchored, and until when all that took effect is
 * anchored. Each version of the state holds the course that led to it: who turns the state back and forth turns that back and forth
 * with it, and a node that took another course from the same state knows that the anchor is not its own.
 */
export class Course {
  /** Enclave time; never later than is so. */
  #settledMs: number;
  readonly #stations: Map<number, Station>;
  #newest: number;
  /** States above the first and below the second are not known: an image without a course made them. */
  readonly #unknown: { readonly above: number; readonly below: number };

  private constructor(settledMs: number, stations: readonly Station[], lastRecorded: number) {
    this.#settledMs = settledMs;
    this.#stations = new Map(stations.slice(-MAX_STATIONS).map((one) => [one.version, one]));
    this.#newest = stations.at(-1)?.version ?? 0;
    this.#unknown = { above: lastRecorded, below: this.#newest };
  }

  /** The course that led to a state; without a record of it nothing is known to be anchored. @throws {KmsError} STORE_FAILED */
  static async of(state: StateVersion, store: Pick<SealedStore, 'get'>): Promise<Course> {
    const record = await store.get(RECORD);
    if (record === undefined) return new Course(0, state.version === 0 ? [] : [{ ...state, atMs: 0 }], 0);
    const { format, version, settledMs, writtenMs, stations } = decode(codec, record);
    if (format !== FORMAT)
      throw new KmsError('STORE_FAILED', 'the record of the course has an unknown format');
    const before = stations.map((one) => ({ ...one, atMs: Number(one.atMs) }));
    return new Course(Number(settledMs), [...before, { ...state, atMs: Number(writtenMs) }], version);
  }

  /** Until then all that took effect is anchored. Enclave time. */
  get settledMs(): number {
    return this.#settledMs;
  }

  /** Too many of its states are not known to be anchored. */
  get isFull(): boolean {
    return this.#stations.size >= FULL;
  }

  /** What a version of the state holds of the course before it. */
  record(version: number, nowMs: number): Changes {
    const fields = {
      ...{ format: FORMAT, version, settledMs: timeOf(this.#settledMs), writtenMs: timeOf(nowMs) },
      stations: [...this.#stations.values()].map((one) => ({ ...one, atMs: timeOf(one.atMs) })),
    };
    return new Map([[RECORD, encode(codec, fields)]]);
  }

  /** A state has taken effect. What is known already changes nothing. */
  tookEffect({ version, digest }: StateVersion, nowMs: number): void {
    if (version <= this.#newest) return;
    this.#newest = version;
    this.#stations.set(version, { version, digest, atMs: nowMs });
    const [oldest] = this.#stations.keys();
    if (this.#stations.size > MAX_STATIONS && oldest !== undefined) this.#stations.delete(oldest);
  }

  /**
   * @param anchored as a final block shows it, which may be older than this moment: what this node did meanwhile is not in it
   * @param askedMs enclave time before it was asked for
   */
  against(anchored: AnchoredState, askedMs: number): CourseVerdict {
    const { version, isEarly } = anchored;
    const station = this.#stations.get(version);
    const isUnknown = version > this.#unknown.above && version < this.#unknown.below;
    const isAnother = station === undefined ? isUnknown : !anchored.is(station.digest);
    if (version > this.#newest || isAnother) return 'old';
    const isNewest = version === this.#newest;
    if (station !== undefined) {
      this.#settle(isNewest ? askedMs : station.atMs);
      this.#forgetBefore(version);
    } else if (isEarly) {
      this.#settle(askedMs);
      this.#forgetBefore(this.#newest);
    }
    return isNewest ? 'settled' : 'ahead';
  }

  #settle(atMs: number): void {
    this.#settledMs = Math.max(atMs, this.#settledMs);
  }

  #forgetBefore(version: number): void {
    for (const before of [...this.#stations.keys()].filter((one) => one < version))
      this.#stations.delete(before);
  }
}

function timeOf(ms: number): bigint {
  return BigInt(Math.floor(ms));
}
