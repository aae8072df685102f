import type { Duplex } from 'node:stream';
import { committee } from '../shared/committee.ts';
import { codeOf, KmsError } from '../shared/errors.ts';
import { type Digest, digest, type KeyId, type PartyId } from '../shared/ids.ts';
import type { Link } from '../shared/link.ts';
import type { Log } from '../shared/log.ts';
import { decodeManifest, encodeManifest, type Manifest, networkIdOf, partyOf } from '../shared/manifest.ts';
import type { Kernel } from '../shared/math/kernel/kernel.ts';
import type { Primitives, Rng, Signer } from '../shared/primitives.ts';
import type { Membership } from '../shared/protocol/machine.ts';
import { peerMessage } from '../shared/protocol/peer-message.ts';
import { equalBytes, toHex } from '../shared/wire/bytes.ts';
import { decode } from '../shared/wire/codec.ts';
import type {
  DecryptionRequest,
  KeyProgress,
  KeyRequest,
  NodeApi,
  NodeDescription,
  UserDecryptionRequest,
} from './api.ts';
import { Ceremonies } from './ceremonies.ts';
import { DecryptionDesk } from './decryption-desk.ts';
import { type DecryptorFactory, honestDecryptor, KeyRing } from './key-ring.ts';
import { NodeNetwork } from './net/node-network.ts';
import { ed25519Signer } from './primitives.ts';
import type { SealedStore } from './store/sealed-store.ts';

export interface NodeParts {
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
const MANIFEST = 'node/manifest';

/** What exists once the node is a member of a network. */
interface Joined {
  readonly membership: Membership;
  readonly manifest: Manifest;
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
  #network: NodeNetwork | undefined;
  #joined: Joined | undefined;
  /** Joining is one at a time: two callers with two manifests must not both succeed. */
  #joining: Promise<unknown> = Promise.resolve();

  private constructor(parts: NodeParts, identity: Signer) {
    this.#parts = parts;
    this.#identity = identity;
  }

  /** Opens the node; a node that has joined before continues in its network. */
  static async open(parts: NodeParts): Promise<Node> {
    const { store, link, primitives, rng, log } = parts;
    const node = new Node(parts, await loadIdentity(store, rng));
    const manifest = await store.get(MANIFEST);
    node.#network = await NodeNetwork.open({
      link,
      identity: node.#identity,
      crypto: primitives,
      rng,
      api: node,
      log,
    });
    if (manifest !== undefined) await node.#enter(decodeManifest(manifest));
    log('info', 'node-open', { step: node.#phase });
    return node;
  }

  async close(): Promise<void> {
    this.#joined?.ceremonies.stop();
    await this.#network?.close();
  }

  async describe(): Promise<NodeDescription> {
    const joined = this.#joined;
    return {
      identity: this.#identity.publicKey,
      network: joined && {
        id: joined.membership.networkId,
        party: joined.membership.self,
        epoch: joined.membership.epoch,
      },
      connectedPeers: this.#network?.peers?.connected() ?? [],
      keyIds: joined?.keys.ids ?? [],
      phase: this.#phase,
    };
  }

  join(manifest: Uint8Array): Promise<{ readonly networkId: Digest; readonly party: PartyId }> {
    const joining = this.#joining.then(() => this.#joinNow(manifest));
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
    return this.#member().desk.decrypt(request, signal);
  }

  async userDecrypt(request: UserDecryptionRequest): Promise<Uint8Array> {
    return this.#member().desk.userDecrypt(request);
  }

  get #phase(): 'unjoined' | 'ready' {
    return this.#joined === undefined ? 'unjoined' : 'ready';
  }

  #member(): Joined {
    if (this.#joined === undefined)
      throw new KmsError('UNAVAILABLE', 'the node has not joined a network yet');
    return this.#joined;
  }

  async #joinNow(bytes: Uint8Array): Promise<{ readonly networkId: Digest; readonly party: PartyId }> {
    const manifest = decodeManifest(bytes);
    if (partyOf(manifest, this.#identity.publicKey) === undefined) {
      throw new KmsError('BAD_MANIFEST', 'the manifest does not name this node');
    }
    if (this.#joined === undefined) {
      await this.#parts.store.put(MANIFEST, bytes);
      await this.#enter(manifest);
    } else if (!equalBytes(bytes, encodeManifest(this.#joined.manifest))) {
      throw new KmsError('BAD_MANIFEST', 'this node belongs to another network');
    }
    const { membership } = this.#member();
    return { networkId: membership.networkId, party: membership.self };
  }

  async #enter(manifest: Manifest): Promise<void> {
    const { store, kernel, rng, nowMs, log, roundMs, openingMs } = this.#parts;
    const membership = this.#membership(manifest);
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
    this.#joined = { membership, manifest, keys, ceremonies, desk };
    await this.#network?.join(manifest, { onMessage: (from, payload) => this.#receive(from, payload) });
    await ceremonies.load();
  }

  #membership(manifest: Manifest): Membership {
    const { primitives } = this.#parts;
    const own = partyOf(manifest, this.#identity.publicKey);
    if (own === undefined) throw new KmsError('BAD_MANIFEST', 'the manifest does not name this node');
    return {
      networkId: networkIdOf(primitives, manifest),
      epoch: manifest.epoch,
      committee: committee(manifest.n, manifest.t),
      self: own.party,
      identities: new Map(manifest.parties.map(({ party, identity }) => [party, identity])),
      signer: this.#identity,
      primitives,
    };
  }

  #receive(from: PartyId, payload: Uint8Array): void {
    try {
      const message = decode(peerMessage, payload);
      if (message.kind === 'keygen') this.#member().ceremonies.receive(from, message.purpose, message.body);
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
