import type { Duplex } from 'node:stream';
import type { AttestationRoot } from '../shared/attestation/root.ts';
import { codeOf, KmsError } from '../shared/errors.ts';
import { digest, type KeyId, type PartyId } from '../shared/ids.ts';
import type { Link } from '../shared/link.ts';
import type { Log } from '../shared/log.ts';
import type { Kernel } from '../shared/math/kernel/kernel.ts';
import type { ConfigurationChain } from '../shared/network/chain.ts';
import { chainHeadOf } from '../shared/network/chain-head.ts';
import { committeeOf } from '../shared/network/configuration.ts';
import type { Primitives, Rng, Signer } from '../shared/primitives.ts';
import type { Membership } from '../shared/protocol/machine.ts';
import { peerMessage } from '../shared/protocol/peer-message.ts';
import { toHex } from '../shared/wire/bytes.ts';
import { decode } from '../shared/wire/codec.ts';
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
import { NodeNetwork } from './net/node-network.ts';
import { Roster } from './net/roster.ts';
import type { Nsm } from './nsm/nsm.ts';
import { ed25519Signer } from './primitives.ts';
import type { SealedStore } from './store/sealed-store.ts';

export interface NodeParts {
  readonly build: Build;
  /** Of the build (`#roots`): they vouch for the peers. */
  readonly roots: readonly AttestationRoot[];
  readonly nsm: Nsm;
  readonly store: SealedStore;
  readonly link: Link<Duplex>;
  readonly primitives: Primitives;
  readonly rng: Rng;
  readonly kernel: Kernel;
  readonly nowMs: () => number;
  readonly log: Log;
  /** Round length of synchronous setups: network bound plus clock error. */
  readonly roundMs: number;
  readonly openingMs: number;
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
}

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
  /** Joining is one at a time: two callers with two networks must not both succeed. */
  #joining: Promise<unknown> = Promise.resolve();

  private constructor(parts: NodeParts, identity: Signer, configurations: Configurations) {
    this.#parts = parts;
    this.#identity = identity;
    this.#configurations = configurations;
  }

  /** Opens the node; a node that has joined before continues in its network. */
  static async open(parts: NodeParts): Promise<Node> {
    const { store, link, primitives, rng, build, nsm, roots, nowMs, log } = parts;
    const identity = await loadIdentity(store, rng);
    const configurations = await Configurations.open({
      store,
      crypto: primitives,
      identity: identity.publicKey,
      build,
      head: chainHeadOf(build.class, nowMs),
    });
    const node = new Node(parts, identity, configurations);
    // Whoever asks to join already now waits until the node is where its store says it is.
    const { promise, resolve } = Promise.withResolvers<void>();
    node.#joining = promise;
    node.#network = await NodeNetwork.open({
      link,
      identity,
      nsm,
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
    this.#joined?.ceremonies.stop();
    await this.#network?.close();
  }

  async describe(): Promise<NodeDescription> {
    const { chain } = this.#configurations;
    return {
      identity: this.#identity.publicKey,
      network: chain && this.#joinedNetwork(chain),
      connectedPeers: this.#network?.peers?.connected() ?? [],
      keyIds: this.#joined?.keys.ids ?? [],
      phase: this.#phase,
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
    yield* this.#member().ceremonies.generate(asked, signal);
  }

  async listKeys(): Promise<readonly KeyId[]> {
    return this.#member().keys.ids;
  }

  async getKey(key: KeyId): Promise<Uint8Array> {
    return this.#member().keys.certified(key);
  }

  async decrypt(request: DecryptionRequest, signal: AbortSignal): Promise<Uint8Array> {
    return this.#stillMember(await this.#member().desk.decrypt(request, signal));
  }

  async userDecrypt(request: UserDecryptionRequest): Promise<Uint8Array> {
    return this.#stillMember(await this.#member().desk.userDecrypt(request));
  }

  get #phase(): 'unjoined' | 'ready' | 'stopped' {
    const { chain } = this.#configurations;
    if (chain?.conflict !== undefined) return 'stopped';
    return this.#joined === undefined ? 'unjoined' : 'ready';
  }

  #member(): Joined {
    const { chain } = this.#configurations;
    if (chain?.conflict !== undefined) {
      throw new KmsError('CONFLICT', 'two successors of one configuration are signed; the node has stopped');
    }
    if (this.#joined === undefined)
      throw new KmsError('UNAVAILABLE', 'the node has not joined a network yet');
    return this.#joined;
  }

  /** An answer leaves only if the node has not stopped while it was made. */
  #stillMember(answer: Uint8Array): Uint8Array {
    this.#member();
    return answer;
  }

  async #joinNow(genesis: Uint8Array, configurations: readonly Uint8Array[]): Promise<JoinedNetwork> {
    const chain = await this.#configurations.join(genesis, configurations);
    await this.#follow(chain);
    this.#member();
    return this.#joinedNetwork(chain);
  }

  /** Does what the durable chain says: becomes a member, or stops. Later configurations act through the roster. */
  async #follow(chain: ConfigurationChain): Promise<void> {
    if (chain.conflict !== undefined) {
      this.#parts.log('error', 'stopped', { code: 'CONFLICT', networkId: chain.networkId });
      this.#joined?.ceremonies.stop();
      await this.#network?.leave();
      await this.#network?.present(chain.networkId);
    } else if (this.#joined === undefined) {
      await this.#enter(chain);
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
    this.#joined = { membership, keys, ceremonies, desk };
    await this.#network?.join(roster, () => this.#configurations.measurements(), {
      onMessage: (from, payload) => this.#receive(from, payload),
      onLine: (line) => line.admit(),
    });
    await ceremonies.load();
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
  async #receive(from: PartyId, payload: Uint8Array): Promise<void> {
    try {
      const message = decode(peerMessage, payload);
      if (message.kind === 'keygen')
        await this.#member().ceremonies.receive(from, message.purpose, message.body);
      else this.#member().desk.receive(from, message);
    } catch (error) {
      this.#parts.log('warn', 'message-dropped', { party: from, code: codeOf(error) });
    }
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
