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
/** A state more than these after the newest that is known to be anchored is not held against an anchor any more. */
const MAX_STATIONS = 1024;

const codec = struct({
  format: u8,
  settledMs: u64,
  /** When the version that holds this record was written. */
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

  private constructor(settledMs: number, stations: readonly Station[]) {
    this.#settledMs = settledMs;
    this.#stations = new Map(stations.slice(-MAX_STATIONS).map((one) => [one.version, one]));
    this.#newest = stations.at(-1)?.version ?? 0;
  }

  /** The course that led to a state; without a record of it nothing is known to be anchored. @throws {KmsError} STORE_FAILED */
  static async of(state: StateVersion, store: Pick<SealedStore, 'get'>): Promise<Course> {
    const record = await store.get(RECORD);
    if (record === undefined) return new Course(0, state.version === 0 ? [] : [{ ...state, atMs: 0 }]);
    const { format, settledMs, writtenMs, stations } = decode(codec, record);
    if (format !== FORMAT)
      throw new KmsError('STORE_FAILED', 'the record of the course has an unknown format');
    const before = stations.map((one) => ({ ...one, atMs: Number(one.atMs) }));
    return new Course(Number(settledMs), [...before, { ...state, atMs: Number(writtenMs) }]);
  }

  /** Until then all that took effect is anchored. Enclave time. */
  get settledMs(): number {
    return this.#settledMs;
  }

  /** What the next version of the state holds of the course before it. */
  record(nowMs: number): Changes {
    const fields = {
      ...{ format: FORMAT, settledMs: timeOf(this.#settledMs), writtenMs: timeOf(nowMs) },
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

  /** @param askedMs enclave time; what is anchored was so then or later */
  against(anchored: AnchoredState, askedMs: number): CourseVerdict {
    const { version } = anchored;
    const station = this.#stations.get(version);
    if (version > this.#newest || (station !== undefined && !anchored.is(station.digest))) return 'old';
    const isNewest = version === this.#newest;
    if (station !== undefined) {
      this.#settle(isNewest ? askedMs : station.atMs);
      for (const before of [...this.#stations.keys()].filter((one) => one < version))
        this.#stations.delete(before);
    } else if (anchored.isEarly) {
      this.#settle(askedMs);
    }
    return isNewest ? 'settled' : 'ahead';
  }

  #settle(atMs: number): void {
    this.#settledMs = Math.max(atMs, this.#settledMs);
  }
}

function timeOf(ms: number): bigint {
  return BigInt(Math.floor(ms));
}
