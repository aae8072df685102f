import { KmsError } from '../../shared/errors.ts';

/** Where a node is in its life (decisions 0004 and 0005, "Boot"). */
export type Phase =
  | 'unjoined'
  | 'founding'
  | 'boot'
  | 'unseal'
  | 'catch-up'
  | 'ready'
  | 'degraded'
  | 'unanchored'
  | 'recover'
  | 'superseded'
  | 'stopped';

/** What a node may be asked for. Describing itself and showing its attestation it does in every phase. */
export type Service =
  | 'join'
  /** Incarnation records, clock readings, attestation, sealed storage: the only messages of peers it reads before it is ready. */
  | 'membership'
  /** Its signature that anchors its state. */
  | 'anchor'
  /** Protocol messages, shares and statements; enrolment. */
  | 'protocols'
  | 'generate-key'
  | 'read-keys'
  | 'decrypt'
  | 'user-decrypt';

/** What decides. */
export interface Facts {
  /** A configuration names this new identity. */
  readonly founding: boolean;
  /** Tier 1 is open: this process is a later life of a member. */
  readonly booting: boolean;
  /** n-1-t memories and t+1 release shares have come. */
  readonly recalled: boolean;
  /** The state is open, and of a new node in effect. */
  readonly unsealed: boolean;
  /** n-1-t peers acknowledged this boot's incarnation and its state. */
  readonly acknowledged: boolean;
  /** t+1 peers support this node's clock. */
  readonly clockGood: boolean;
  /** What this node did is anchored, or was done just now; always in a network without a gateway. */
  readonly anchored: boolean;
  /** The state is lost, damaged or old. */
  readonly lost: boolean;
  /** A higher incarnation of this identity is alive. */
  readonly superseded: boolean;
  /** Two successors of one configuration are signed. */
  readonly stopped: boolean;
}

interface Row {
  readonly serves: readonly Service[];
  /** The next phase, if the facts lead on. */
  readonly next: (facts: Facts) => Phase | undefined;
  /** Why something is not served. */
  readonly refusal: string;
}

const STANDING: readonly Service[] = ['join', 'membership', 'anchor', 'read-keys'];
const WORK: readonly Service[] = [...STANDING, 'protocols', 'generate-key', 'decrypt'];

const table: Readonly<Record<Phase, Row>> = {
  unjoined: {
    serves: ['join'],
    next: ({ founding, booting }) => (booting ? 'boot' : founding ? 'founding' : undefined),
    refusal: 'the node has not joined a network yet',
  },
  founding: {
    serves: ['membership'],
    next: ({ unsealed }) => (unsealed ? 'catch-up' : undefined),
    refusal: 'the node is being founded: it waits for other nodes to keep its halves and its state',
  },
  boot: {
    serves: [],
    next: ({ recalled }) => (recalled ? 'unseal' : undefined),
    refusal: 'the node waits for what other nodes keep for it',
  },
  unseal: {
    serves: [],
    next: ({ unsealed }) => (unsealed ? 'catch-up' : undefined),
    refusal: 'the node reads its state',
  },
  'catch-up': {
    serves: ['join', 'membership'],
    next: ({ acknowledged, clockGood }) => (acknowledged && clockGood ? 'ready' : undefined),
    refusal: 'the node waits for its peers to acknowledge this boot',
  },
  ready: {
    serves: [...WORK, 'user-decrypt'],
    next: workingPhase,
    refusal: '',
  },
  degraded: {
    serves: WORK,
    next: workingPhase,
    refusal: "too few peers support the node's clock",
  },
  unanchored: {
    serves: STANDING,
    next: workingPhase,
    refusal:
      "the state of the node is not anchored on the gateway chain; its parent's connector has to run, with funds, and the chain has to be there",
  },
  recover: {
    serves: [],
    next: () => undefined,
    refusal: 'the state of the node is lost, damaged or old; ask it to describe itself for the reason',
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

/** Of a node that has been ready. */
function workingPhase({ acknowledged, anchored, clockGood }: Facts): Phase {
  if (!acknowledged) return 'catch-up';
  if (!anchored) return 'unanchored';
  return clockGood ? 'ready' : 'degraded';
}

/** The phase that the facts lead to, which may be several steps on. */
export function phaseAfter(phase: Phase, facts: Facts): Phase {
  if (phase === 'stopped' || facts.stopped) return 'stopped';
  if (phase === 'superseded' || facts.superseded) return 'superseded';
  if (phase === 'recover' || facts.lost) return 'recover';
  const next = table[phase].next(facts);
  return next === undefined || next === phase ? phase : phaseAfter(next, facts);
}

export function serves(phase: Phase, service: Service): boolean {
  return table[phase].serves.includes(service);
}

/** @throws {KmsError} CONFLICT once stopped, else UNAVAILABLE, unless the phase serves it */
export function requireService(phase: Phase, service: Service): void {
  if (serves(phase, service)) return;
  throw new KmsError(phase === 'stopped' ? 'CONFLICT' : 'UNAVAILABLE', table[phase].refusal);
}
