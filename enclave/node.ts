import type { Duplex } from 'node:stream';
import type { NodeTrust } from '../shared/attestation/node-evidence.ts';
import type { AttestationRoot } from '../shared/attestation/root.ts';
import { codeOf, KmsError } from '../shared/errors.ts';
import { type Digest, digest, type KeyId, type PartyId } from '../shared/ids.ts';
import type { Link } from '../shared/link.ts';
import type { Log } from '../shared/log.ts';
import type { Kernel } from '../shared/math/kernel/kernel.ts';
import { enrolmentCodec } from '../shared/membership/enrolment.ts';
import type { ConfigurationChain } from '../shared/network/chain.ts';
import type { ChainHead } from '../shared/network/chain-head.ts';
import { committeeOf } from '../shared/network/configuration.ts';
import type { Primitives, Rng, Signer } from '../shared/primitives.ts';
import type { Membership } from '../shared/protocol/machine.ts';
import { type PeerMessage, peerMessage } from '../shared/protocol/peer-message.ts';
import { toHex } from '../shared/wire/bytes.ts';
import { decode, encode } from '../shared/wire/codec.ts';
import type {
  DecryptionRequest,
  JoinedNetwork,
  KeyProgress,
  KeyRequest,
  NodeApi,
  NodeDescription,
  UserDecryptionRequest,
} from './api.ts';
import { Ceremonies } from './ceremonies.ts';
import { type Build, Configurations } from './configurations.ts';
import { DecryptionDesk } from './decryption-desk.ts';
import { type DecryptorFactory, honestDecryptor, KeyRing } from './key-ring.ts';
import { HeldMessages } from './membership/held-messages.ts';
import { type Phase, phaseAfter, requireService, type Service, serves } from './membership/phases.ts';
import { Standing, type StandingTiming } from './membership/standing.ts';
import type { Line } from './net/line.ts';
import { NodeNetwork } from './net/node-network.ts';
import { Roster } from './net/roster.ts';
import type { Nsm } from './nsm/nsm.ts';
import { ed25519Signer } from './primitives.ts';
import type { SealedStore } from './store/sealed-store.ts';

export interface NodeParts {
  readonly build: Build;
  /** Of the build (`#roots`): they vouch for the peers. */
  readonly roots: readonly AttestationRoot[];
  /** Of the build (`#roots`). Undefined: no chain to ask. */
  readonly head: ChainHead | undefined;
  readonly nsm: Nsm;
  readonly store: SealedStore;
  readonly link: Link<Duplex>;
  readonly primitives: Primitives;
  readonly rng: Rng;
  readonly kernel: Kernel;
  /** Enclave time, Unix (membership/clock.ts). */
  readonly nowMs: () => number;
  readonly log: Log;
  /** Round length of synchronous setups: network bound plus clock error. */
  readonly roundMs: number;
  readonly openingMs: number;
  /** A later boot of this identity is alive: the process has to end. */
  readonly onSuperseded?: () => void;
  readonly timing?: StandingTiming;
  /** Where a key's share comes from; a lying one exists in tests only. */
  readonly makeDecryptor?: DecryptorFactory;
}

const IDENTITY = 'node/identity';

/** What exists once the node is a member of a network. */
interface Joined {
  readonly membership: Membership;
  readonly keys: KeyRing;
  readonly ceremonies: Ceremonies;
  readonly desk: DecryptionDesk;
  readonly standing: Standing;
}

type ProtocolMessage = Exclude<PeerMessage, { readonly kind: 'membership' }>;

/**
 * One node: its identity is born here and stays; it joins one network, once; then it generates keys and decrypts with
 * its share of them. Everything it knows beyond this process life is in its sealed store.
 */
export class Node implements NodeApi {
  readonly #parts: NodeParts;
  readonly #identity: Signer;
  readonly #configurations: Configurations;
  #network: NodeNetwork | undefined;
  #joined: Joined | undefined;
  #phase: Phase = 'unjoined';
  /** Nothing of a protocol is read or said before this node was ready once. */
  readonly #held = new HeldMessages<ProtocolMessage>();
  #working = false;
  /** Joining is one at a time: two callers with two networks must not both succeed. */
  #joining: Promise<unknown> = Promise.resolve();

  private constructor(parts: NodeParts, identity: Signer, configurations: Configurations) {
    this.#parts = parts;
    this.#identity = identity;
    this.#configurations = configurations;
  }

  /** Opens the node; a node that has joined before continues in its network. */
  static async open(parts: NodeParts): Promise<Node> {
    const { store, link, primitives, rng, build, nsm, roots, head, nowMs, log } = parts;
    const identity = await loadIdentity(store, rng);
    const configurations = await Configurations.open({
      store,
      crypto: primitives,
      identity: identity.publicKey,
      build,
      head,
    });
    const node = new Node(parts, identity, configurations);
    // Whoever asks to join already now waits until the node is where its store says it is.
    const { promise, resolve } = Promise.withResolvers<void>();
    node.#joining = promise;
    node.#network = await NodeNetwork.open({
      link,
      identity,
      nsm,
      networkId: configurations.chain?.networkId,
      roots,
      nowMs,
      crypto: primitives,
      rng,
      api: node,
      log,
    });
    if (configurations.chain !== undefined) await node.#follow(configurations.chain);
    resolve();
    log('info', 'node-open', { step: node.#phase });
    return node;
  }

  async close(): Promise<void> {
    this.#joined?.standing.stop();
    this.#joined?.ceremonies.stop();
    await this.#network?.close();
  }

  async describe(): Promise<NodeDescription> {
    const { chain } = this.#configurations;
    const enrolment = this.#joined?.standing.enrolment;
    return {
      identity: this.#identity.publicKey,
      network: chain && this.#joinedNetwork(chain),
      connectedPeers: this.#network?.peers?.connected() ?? [],
      keyIds: this.#joined?.keys.ids ?? [],
      phase: this.#phase,
      enrolment: enrolment && encode(enrolmentCodec, enrolment),
    };
  }

  join(genesis: Uint8Array, configurations: readonly Uint8Array[]): Promise<JoinedNetwork> {
    const joining = this.#joining.then(() => this.#joinNow(genesis, configurations));
    this.#joining = joining.catch(() => undefined);
    return joining;
  }

  async *generateKey(request: KeyRequest, signal: AbortSignal): AsyncIterable<KeyProgress> {
    const { requestId, preset, galois } = request;
    const asked = { request: digest(toHex(requestId)), preset, galois };
    yield* this.#serving('generate-key').ceremonies.generate(asked, signal);
  }

  async listKeys(): Promise<readonly KeyId[]> {
    return this.#serving('read-keys').keys.ids;
  }

  async getKey(key: KeyId): Promise<Uint8Array> {
    return this.#serving('read-keys').keys.certified(key);
  }

  async decrypt(request: DecryptionRequest, signal: AbortSignal): Promise<Uint8Array> {
    const answer = await this.#serving('decrypt').desk.decrypt(request, signal);
    // It leaves only if the phase is still one that says such things.
    this.#serving('decrypt');
    return answer;
  }

  async userDecrypt(request: UserDecryptionRequest): Promise<Uint8Array> {
    const answer = await this.#serving('user-decrypt').desk.userDecrypt(request);
    this.#serving('user-decrypt');
    return answer;
  }

  /** @throws {KmsError} UNAVAILABLE, CONFLICT: the phase does not serve this (membership/phases.ts) */
  #serving(service: Service): Joined {
    this.#advance();
    requireService(this.#phase, service);
    if (this.#joined === undefined) throw new KmsError('UNAVAILABLE', 'the node is still joining');
    return this.#joined;
  }

  /** Goes to the phase that the facts lead to, and does what comes with it. */
  #advance(): void {
    const standing = this.#joined?.standing;
    const before = this.#phase;
    this.#phase = phaseAfter(before, {
      joined: this.#joined !== undefined,
      acknowledged: standing?.isAcknowledged ?? false,
      clockGood: standing?.isClockGood ?? false,
      superseded: standing?.isSuperseded ?? false,
      stopped: this.#configurations.chain?.conflict !== undefined,
    });
    if (this.#phase === before) return;
    this.#parts.log('info', 'phase', { step: this.#phase });
    if (this.#phase === 'superseded') {
      void this.#leave().finally(() => this.#parts.onSuperseded?.());
    } else if (serves(this.#phase, 'protocols')) {
      this.#work();
    }
  }

  /** Continues what was begun in earlier lives, and reads what came too early, once. */
  #work(): void {
    if (this.#working) return;
    this.#working = true;
    this.#joined?.ceremonies.load().catch((error: unknown) => {
      this.#parts.log('error', 'key-generations-not-continued', { code: codeOf(error) });
    });
    for (const { from, message } of this.#held.release()) void this.#handle(from, message);
  }

  /** No word to any peer any more. */
  async #leave(): Promise<void> {
    this.#joined?.standing.stop();
    this.#joined?.ceremonies.stop();
    await this.#network?.leave();
  }

  async #joinNow(genesis: Uint8Array, configurations: readonly Uint8Array[]): Promise<JoinedNetwork> {
    if (this.#phase === 'superseded') requireService(this.#phase, 'join');
    const chain = await this.#configurations.join(genesis, configurations);
    await this.#follow(chain);
    requireService(this.#phase, 'join');
    return this.#joinedNetwork(chain);
  }

  /** Does what the durable chain says: becomes a member, or stops. Later configurations act through the roster. */
  async #follow(chain: ConfigurationChain): Promise<void> {
    if (chain.conflict !== undefined) {
      this.#parts.log('error', 'stopped', { code: 'CONFLICT', networkId: chain.networkId });
      this.#advance();
      await this.#leave();
      await this.#network?.present(chain.networkId);
    } else if (this.#joined === undefined) {
      await this.#enter(chain);
      this.#advance();
    }
  }

  #joinedNetwork(chain: ConfigurationChain): JoinedNetwork {
    const { digest: newest, signed } = chain.newest;
    const { number, epoch } = signed.configuration;
    const party = this.#roster(chain).self;
    return { id: chain.networkId, party, epoch, configuration: { number, digest: newest } };
  }

  #roster({ networkId }: ConfigurationChain): Roster {
    return new Roster(networkId, this.#identity.publicKey, () => this.#configurations.valid());
  }

  async #enter(chain: ConfigurationChain): Promise<void> {
    const { store, kernel, rng, nowMs, log, roundMs, openingMs } = this.#parts;
    const roster = this.#roster(chain);
    const membership = this.#membership(chain, roster.self);
    const send = (to: PartyId, payload: Uint8Array): void => {
      // A peer that cannot take messages is the transport's to report; the protocols live without it.
      try {
        this.#network?.peers?.send(to, payload);
      } catch (error) {
        log('warn', 'send-failed', { party: to, code: codeOf(error) });
      }
    };
    const keys = new KeyRing(membership, kernel, this.#parts.makeDecryptor ?? honestDecryptor);
    const ceremonies = new Ceremonies(
      membership,
      { kernel, rng, roundMs, openingMs },
      {
        store,
        send,
        nowMs,
        onKey: (finished) => {
          keys.add(finished);
          log('info', 'key-ready', { keyId: finished.record.key });
        },
        onFailure: (error) => log('error', 'key-generation-failed', { code: codeOf(error) }),
      },
    );
    const connected = (): readonly PartyId[] => this.#network?.peers?.connected() ?? [];
    const desk = new DecryptionDesk({ membership, kernel, keys, rng, send, connected });
    const standing = await this.#enterStanding(membership);
    this.#joined = { membership, keys, ceremonies, desk, standing };
    await this.#network?.join(roster, this.#trustIn(chain.networkId), {
      onMessage: (from, payload, line) => this.#receive(from, payload, line),
      onPeer: (party, up) => {
        if (up) ceremonies.introduce(party);
      },
      onLine: (line) => standing.onLine(line),
      onDisplaced: (line) => standing.onDisplaced(line),
    });
    standing.start();
  }

  #trustIn(networkId: Digest): NodeTrust {
    return this.#open.trustIn(networkId, () => this.#configurations.measurements());
  }

  async #enterStanding(membership: Membership): Promise<Standing> {
    const { store, rng, log, nowMs, timing } = this.#parts;
    const network = this.#open;
    // Documents from here on are the network's.
    await network.present(membership.networkId);
    return Standing.open(membership, {
      ...{ store, rng, log, nowMs, spki: network.spki },
      ...(timing === undefined ? {} : { timing }),
      trust: this.#trustIn(membership.networkId),
      document: (nonce) => network.document(nonce),
      lines: () => network.peers?.lines() ?? [],
      isAdmitted: (line) => network.peers?.isAdmitted(line) ?? false,
      mayEnrol: () => serves(this.#phase, 'protocols'),
      onChange: () => this.#advance(),
    });
  }

  get #open(): NodeNetwork {
    if (this.#network === undefined) throw new KmsError('INTERNAL', 'the node is not open yet');
    return this.#network;
  }

  #membership(chain: ConfigurationChain, self: PartyId): Membership {
    const { digest: began, signed } = chain.epochStart;
    const { epoch, members } = signed.configuration;
    return {
      networkId: chain.networkId,
      configuration: began,
      epoch,
      committee: committeeOf(signed.configuration),
      self,
      identities: new Map(members.map(({ party, identity }) => [party, identity])),
      signer: this.#identity,
      primitives: this.#parts.primitives,
    };
  }

  /** Resolves when the message has been dealt with: meanwhile its sender, and nobody else, is held back. */
  async #receive(from: PartyId, payload: Uint8Array, line: Line): Promise<void> {
    const standing = this.#joined?.standing;
    try {
      const message = decode(peerMessage, payload);
      if (message.kind === 'membership') {
        if (serves(this.#phase, 'membership')) await standing?.receive(line, message.message);
      } else if (!(standing?.isCurrent(line) ?? false)) {
        throw new KmsError('BAD_PEER', 'not the latest boot of this member');
      } else if (serves(this.#phase, 'protocols')) {
        await this.#handle(from, message);
      } else if (!this.#held.hold(from, message, payload.length)) {
        throw new KmsError('BUSY', 'too much of this member is waiting');
      }
    } catch (error) {
      this.#dropped(from, error);
    }
  }

  async #handle(from: PartyId, message: ProtocolMessage): Promise<void> {
    try {
      const { ceremonies, desk } = this.#serving('protocols');
      if (message.kind === 'keygen') await ceremonies.receive(from, message.purpose, message.body);
      else desk.receive(from, message);
    } catch (error) {
      this.#dropped(from, error);
    }
  }

  #dropped(from: PartyId, error: unknown): void {
    this.#parts.log('warn', 'message-dropped', { party: from, code: codeOf(error) });
  }
}

/** The identity key is born here, sealed before it is used, and never leaves. */
async function loadIdentity(store: SealedStore, rng: Rng): Promise<Signer> {
  const sealed = await store.get(IDENTITY);
  const seed = sealed ?? rng(32);
  if (sealed === undefined) await store.put(IDENTITY, seed);
  const signer = ed25519Signer(seed);
  seed.fill(0);
  return signer;
}
