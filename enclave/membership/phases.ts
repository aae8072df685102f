import { KmsError } from '../../shared/errors.ts';

/** Where a node is in its life (decision 0004, "Boot phases"). */
export type Phase = 'unjoined' | 'attesting' | 'ready' | 'degraded' | 'superseded' | 'stopped';

/** What a node may be asked for. Describing itself and showing its attestation it does in every phase. */
export type Service =
  | 'join'
  /** Incarnation records, clock readings, attestation: the only messages of peers it reads before it is ready. */
  | 'membership'
  /** Protocol messages, shares and statements; enrolment. */
  | 'protocols'
  | 'generate-key'
  | 'read-keys'
  | 'decrypt'
  | 'user-decrypt';

/** What decides. */
export interface Facts {
  /** Genesis and a configuration that names this identity are durable. */
  readonly joined: boolean;
  /** n - 1 - t peers acknowledged this boot's incarnation. */
  readonly acknowledged: boolean;
  /** t + 1 peers support this node's clock. */
  readonly clockGood: boolean;
  /** A higher incarnation of this identity is alive. */
  readonly superseded: boolean;
  /** Two successors of one configuration are signed. */
  readonly stopped: boolean;
}

interface Row {
  readonly serves: readonly Service[];
  /** The phase that follows at once under these facts; undefined: it stays. */
  readonly next: (facts: Facts) => Phase | undefined;
  /** Said to whoever asks for something else. */
  readonly refusal: string;
}

const WORK: readonly Service[] = ['join', 'membership', 'protocols', 'generate-key', 'read-keys', 'decrypt'];

const table: Readonly<Record<Phase, Row>> = {
  unjoined: {
    serves: ['join'],
    next: ({ joined }) => (joined ? 'attesting' : undefined),
    refusal: 'the node has not joined a network yet',
  },
  attesting: {
    serves: ['join', 'membership'],
    next: ({ acknowledged, clockGood }) => (acknowledged && clockGood ? 'ready' : undefined),
    refusal: 'the node waits for its peers to acknowledge this boot',
  },
  ready: {
    serves: [...WORK, 'user-decrypt'],
    next: ({ acknowledged, clockGood }) =>
      acknowledged ? (clockGood ? undefined : 'degraded') : 'attesting',
    refusal: '',
  },
  degraded: {
    serves: WORK,
    next: ({ acknowledged, clockGood }) => (acknowledged ? (clockGood ? 'ready' : undefined) : 'attesting'),
    refusal: "too few peers support the node's clock",
  },
  superseded: {
    serves: [],
    next: () => undefined,
    refusal: 'a later boot of this node is alive',
  },
  stopped: {
    serves: [],
    next: () => undefined,
    refusal: 'two successors of one configuration are signed; the node has stopped',
  },
};

/** The phase that the facts lead to, which may be several steps on. */
export function phaseAfter(phase: Phase, facts: Facts): Phase {
  if (phase === 'stopped' || facts.stopped) return 'stopped';
  if (phase === 'superseded' || facts.superseded) return 'superseded';
  const next = table[phase].next(facts);
  return next === undefined ? phase : phaseAfter(next, facts);
}

export function serves(phase: Phase, service: Service): boolean {
  return table[phase].serves.includes(service);
}

/** @throws {KmsError} CONFLICT once stopped, else UNAVAILABLE, unless the phase serves it */
export function requireService(phase: Phase, service: Service): void {
  if (serves(phase, service)) return;
  throw new KmsError(phase === 'stopped' ? 'CONFLICT' : 'UNAVAILABLE', table[phase].refusal);
}
