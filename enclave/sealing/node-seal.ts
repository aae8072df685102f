import { codeOf, KmsError } from '../../shared/errors.ts';
import type { Log } from '../../shared/log.ts';
import type { MembershipMessage, SealMessage } from '../../shared/membership/messages.ts';
import type { Rng } from '../../shared/primitives.ts';
import { type Membership, peersOf, type Roll } from '../../shared/protocol/machine.ts';
import { NODE_SCOPE, scopeName } from '../../shared/sealing/scope.ts';
import { decode, encode } from '../../shared/wire/codec.ts';
import { Halves } from '../membership/halves.ts';
import { OwnState } from '../membership/own-state.ts';
import { PeerMemory } from '../membership/peer-memory.ts';
import type { Line } from '../net/line.ts';
import type { Changes } from '../store/sealed-store.ts';
import { NO_STATE, type StateVersion, type VersionedStore } from '../store/versioned-store.ts';
import type { Cloud, SuccessorKeys } from './cloud.ts';
import { Course } from './course.ts';
import { JointDataKeys } from './joint-data-keys.ts';
import { type ScopeHeader, scopeHeaderCodec } from './scope-header.ts';
import { Scopes } from './scopes.ts';
import { StateStore } from './state-store.ts';
import { resealTierOne } from './tier-one.ts';

export interface NodeSealParts {
  readonly roll: Roll;
  readonly cloud: Cloud;
  readonly tierOne: VersionedStore;
  readonly rng: Rng;
  /** How long a new half waits for all other nodes: a round of the synchronous protocols. */
  readonly dealMs: number;
  readonly log: Log;
  /** Enclave time. */
  readonly nowMs: () => number;
  /** In a network with a gateway. */
  readonly isAnchored: boolean;
  readonly tell: (line: Line, message: MembershipMessage) => void;
  /** Connections to the latest processes of members. */
  readonly lines: () => readonly Line[];
  /** Number of this boot once n-1-t peers acknowledged it. */
  readonly incarnation: () => number | undefined;
  /** Another process writes this node's state. */
  readonly onLost: (error: KmsError) => void;
  /** The state took effect, or turned out to be old. */
  readonly onChange: () => void;
}

const NODE_HEADER = 'tier-2/node';

/**
 * A node's sealed storage, both tiers, and its conversation with the other nodes about it: what it keeps for them, what
 * they keep for it (decision 0005).
 */
export class NodeSeal {
  readonly memory: PeerMemory;
  readonly scopes: Scopes;
  readonly #parts: NodeSealParts;
  readonly #halves: Halves;
  readonly #dataKeys: JointDataKeys;
  #own: OwnState | undefined;
  #state: StateStore | undefined;
  #course: Course | undefined;

  private constructor(parts: NodeSealParts, memory: PeerMemory) {
    const { roll, cloud, rng, tell, lines, dealMs } = parts;
    this.#parts = parts;
    this.#dataKeys = new JointDataKeys(cloud);
    this.memory = memory;
    this.#halves = new Halves(roll, { tell, lines, dealMs });
    this.scopes = new Scopes({
      ...{ networkId: roll.networkId, party: roll.self, holders: peersOf(roll), rng },
      ...{ threshold: roll.committee.t + 1, hashes: roll.primitives, dataKeys: this.#dataKeys },
      deal: (scope, shares) => this.#halves.deal(scope, shares),
    });
  }

  /** @throws {KmsError} STORE_FAILED */
  static async open(parts: NodeSealParts): Promise<NodeSeal> {
    return new NodeSeal(parts, await PeerMemory.open(parts.roll, parts.tierOne));
  }

  get tierOne(): VersionedStore {
    return this.#parts.tierOne;
  }

  /** The others know a state of this node that this boot announced. */
  get isKnown(): boolean {
    return this.#own?.isKnown ?? false;
  }

  /** The newest state that took effect by the word of this boot. */
  get inEffect(): StateVersion | undefined {
    return this.#own?.inEffect;
  }

  /** What is held against the anchor. Undefined before the state is open, and where nothing is anchored. */
  get course(): Course | undefined {
    return this.#course;
  }

  /** Others hold a later state of this node than it has. */
  get isOvertaken(): boolean {
    return this.#own?.isOvertaken ?? false;
  }

  /** Of scope `node`. @throws {KmsError} STORE_FAILED if this node was never founded to the end */
  async nodeHeader(): Promise<ScopeHeader> {
    const header = await this.tierOne.get(NODE_HEADER);
    if (header === undefined) {
      throw new KmsError('STORE_FAILED', 'the founding of this node was interrupted; its identity is gone');
    }
    return decode(scopeHeaderCodec, header);
  }

  /** The first state of a new node, in effect when the promise resolves. */
  async found(membership: Membership, secrets: Changes): Promise<StateStore> {
    const header = await this.scopes.ensure(NODE_SCOPE);
    await this.tierOne.put(NODE_HEADER, encode(scopeHeaderCodec, header));
    const state = await this.open(membership, NO_STATE);
    if (state.state.version > 0)
      throw new KmsError('CONFLICT', 'the bucket holds another state of this node');
    this.announce(membership, state);
    await state.change(secrets);
    return state;
  }

  /** @param known what the other nodes vouch for. @throws {KmsError} STORE_FAILED */
  async open(roll: Roll, known: StateVersion): Promise<StateStore> {
    const { cloud, rng, nowMs, isAnchored } = this.#parts;
    const state = await StateStore.open(
      {
        ...{ objects: cloud.objects, networkId: roll.networkId, party: roll.self, epoch: roll.epoch, rng },
        scopes: this.scopes,
        along: (version) => this.#course?.record(version, nowMs()) ?? new Map(),
        acknowledge: async (state) => this.#own?.announce(state),
        onTrouble: (error) => this.#trouble(error),
        onLost: this.#parts.onLost,
        onEnded: () => void this.#eraseEnded(),
      },
      known,
    );
    this.#course = isAnchored ? await Course.of(state.state, state) : undefined;
    this.#state = state;
    return state;
  }

  /** From now on the others are told of this node's state. */
  announce(membership: Membership, state: StateStore): void {
    const { tell, lines, incarnation, nowMs, onChange } = this.#parts;
    const onHeld = (held: StateVersion): void => {
      this.#course?.tookEffect(held, nowMs());
      onChange();
    };
    this.#own = new OwnState(membership, state.state, { tell, lines, incarnation, onHeld });
    if (state.state.version > 0) void this.#own.announce(state.state);
  }

  /** Gives those their shares that lack them, and asks for the erasures that are not complete. */
  async resume(state: StateStore, holdersOf: (header: ScopeHeader) => Iterable<number>): Promise<void> {
    for (const name of this.scopes.names) {
      const header = this.scopes.headerOf(name);
      const holders = new Set(holdersOf(header));
      const parties = peersOf(this.#parts.roll).filter((party) => holders.has(party));
      this.#halves.resume(header.scope, this.scopes.sharesOf(name), parties);
    }
    await this.#eraseAll(state);
  }

  /** The KMS key under which this process opened the node's state. */
  get kmsKey(): string {
    return this.#parts.cloud.kmsKey;
  }

  /**
   * From now on everything is sealed for the image that comes after this one as well, what there is included. Repeating it
   * changes nothing.
   * @throws {KmsError} KMS_REFUSED, KMS_POLICY, KMS_UNAVAILABLE, STORE_FAILED
   */
  async sealFor(successor: SuccessorKeys): Promise<void> {
    const state = this.#state;
    if (state === undefined) throw new KmsError('UNAVAILABLE', 'the node has not opened its state yet');
    this.#dataKeys.sealFor(successor);
    await resealTierOne(this.#parts.cloud.objects, this.#dataKeys);
    const others: ScopeHeader[] = [];
    for (const name of this.scopes.names) {
      const header = await this.scopes.reseal(name);
      if (header === undefined) continue;
      if (header.scope.kind === 'key') others.push(header);
      else await this.tierOne.put(NODE_HEADER, encode(scopeHeaderCodec, header));
    }
    if (others.length > 0) await state.resealed(others);
  }

  /** This boot was acknowledged, or has another number. */
  refresh(): void {
    this.#own?.refresh();
  }

  /** The latest process of a member is connected. */
  onLine(line: Line): void {
    this.#halves.onLine(line);
    this.#own?.onLine(line);
  }

  /**
   * @param incarnation number of the process at the other end, the member's latest
   * @throws {KmsError} BAD_PEER, BUSY, STORE_FAILED: the message was worth nothing
   */
  async receive(line: Line, message: SealMessage, incarnation: number): Promise<void> {
    const { tell } = this.#parts;
    const { party } = line;
    switch (message.kind) {
      case 'state-announced': {
        const { record } = message;
        const verdict = await this.memory.announced(party, incarnation, record);
        if (verdict.kind === 'held') tell(line, { kind: 'state-held', record });
        else tell(line, { kind: 'state-refused', highest: verdict.highest });
        return;
      }
      case 'state-held':
        return this.#own?.held(party, message.record);
      case 'state-refused':
        this.#own?.refused(message.highest);
        return this.#parts.onChange();
      case 'half-dealt': {
        const { scope, share } = message;
        try {
          const digest = await this.memory.dealt(party, scope, share);
          tell(line, { kind: 'half-held', scope, digest });
        } finally {
          share.fill(0);
        }
        return;
      }
      case 'half-held':
        return this.#halves.held(party, message.scope, message.digest);
      case 'half-erasing':
        await this.memory.erase(party, message.scope);
        tell(line, { kind: 'half-erased', scope: message.scope });
        return;
      case 'half-erased':
        return this.#halves.erased(party, message.scope);
    }
  }

  close(): void {
    this.#halves.stop();
    this.#state?.close();
    this.tierOne.close();
    this.scopes[Symbol.dispose]();
  }

  async #eraseEnded(): Promise<void> {
    if (this.#state !== undefined) await this.#eraseAll(this.#state);
  }

  async #eraseAll(state: StateStore): Promise<void> {
    for (const scope of await state.erasing()) {
      // What is dealt anew must not be asked back: its header is not durable yet, so the list still names it.
      if (this.#halves.isErasing(scope) || this.scopes.isUsed(scopeName(scope))) continue;
      this.#halves
        .erase(scope)
        .then(() => state.erased(scope))
        .catch((error: unknown) => this.#trouble(error));
    }
  }

  #trouble(error: unknown): void {
    this.#parts.log('warn', 'storage-trouble', { code: codeOf(error) });
  }
}
