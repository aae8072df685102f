import type { NodeTrust } from '../shared/attestation/node-evidence.ts';
import { codeOf, KmsError } from '../shared/errors.ts';
import { digest, type KeyId, type PartyId, partyId } from '../shared/ids.ts';
import { enrolmentCodec } from '../shared/membership/enrolment.ts';
import type { ConfigurationChain } from '../shared/network/chain.ts';
import {
  badConfiguration,
  committeeOf,
  type Member as MemberEntry,
  memberOf,
} from '../shared/network/configuration.ts';
import type { Signer } from '../shared/primitives.ts';
import type { Membership, Roll } from '../shared/protocol/machine.ts';
import { peerMessage } from '../shared/protocol/peer-message.ts';
import { equalBytes, toHex } from '../shared/wire/bytes.ts';
import { decode, encode } from '../shared/wire/codec.ts';
import type {
  DecryptionRequest,
  JoinedNetwork,
  JoinRequest,
  KeyProgress,
  KeyRequest,
  NodeApi,
  NodeDescription,
  UserDecryptionRequest,
} from './api.ts';
import { Configurations } from './configurations.ts';
import { Member, type ProtocolMessage, type Work } from './member.ts';
import { HeldMessages } from './membership/held-messages.ts';
import { type Phase, phaseAfter, requireService, type Service, serves } from './membership/phases.ts';
import { newResultSigner, RESULT_SIGNER } from './membership/result-signer.ts';
import { tell } from './membership/standing.ts';
import type { Line } from './net/line.ts';
import { NodeNetwork } from './net/node-network.ts';
import { Roster } from './net/roster.ts';
import type { PeerTrust } from './net/tls.ts';
import type { NodeParts } from './node-parts.ts';
import { bindToNetwork } from './nsm/network-binding.ts';
import { ed25519Signer } from './primitives.ts';
import type { Cloud } from './sealing/cloud.ts';
import { NodeSeal } from './sealing/node-seal.ts';
import type { StateStore } from './sealing/state-store.ts';
import { createTierOne, openTierOne } from './sealing/tier-one.ts';
import { unseal } from './sealing/unsealing.ts';
import type { VersionedStore } from './store/versioned-store.ts';

export type { NodeParts } from './node-parts.ts';

/** Tier 1. */
const BOOT_KEY = 'node/boot-key';
/** Tier 2. */
const IDENTITY = 'node/identity';
const SEED_BYTES = 32;

/** A node that was never a member: its keys exist in this process alone, and end with it (decision 0005). */
interface Newborn {
  /** Secret Ed25519 seeds. */
  readonly identitySeed: Uint8Array;
  readonly bootSeed: Uint8Array;
  readonly identity: Signer;
  readonly bootKey: Signer;
}

/** What exists from the moment that tier 1 is open. */
interface Sealed {
  readonly entry: MemberEntry;
  readonly roll: Roll;
  readonly peers: PeerTrust;
  readonly seal: NodeSeal;
}

/**
 * One node: its identity is born here and stays; it joins one network, once; then it generates keys and decrypts with
 * its share of them. Everything it knows beyond this process life is in its sealed storage, in two tiers.
 */
export class Node implements NodeApi {
  readonly #parts: NodeParts;
  readonly #newborn: Newborn;
  readonly #configurations: Configurations;
  readonly #stop = new AbortController();
  #network: NodeNetwork | undefined;
  #sealed: Sealed | undefined;
  #member: Member | undefined;
  #phase: Phase = 'unjoined';
  readonly #facts = { founding: false, booting: false, recalled: false, unsealed: false };
  /** Why the node does not go on by itself. */
  #loss: string | undefined;
  /** Nothing of a protocol is read or said before this node was ready once. */
  readonly #held = new HeldMessages<ProtocolMessage>();
  #working = false;
  /** Joining is one at a time: two callers with two networks must not both succeed. */
  #joining: Promise<unknown> = Promise.resolve();

  private constructor(parts: NodeParts) {
    const { primitives: crypto, build, head, rng } = parts;
    const [identitySeed, bootSeed] = [rng(SEED_BYTES), rng(SEED_BYTES)];
    this.#parts = parts;
    this.#newborn = {
      ...{ identitySeed, bootSeed },
      ...{ identity: ed25519Signer(identitySeed), bootKey: ed25519Signer(bootSeed) },
    };
    this.#configurations = new Configurations({ crypto, build, head });
  }

  /** A node that waits to be told its network: as a new member, or as one that starts again. */
  static async open(parts: NodeParts): Promise<Node> {
    const { link, primitives: crypto, rng, nsm, roots, nowMs, log } = parts;
    const node = new Node(parts);
    const { identity } = node.#newborn;
    node.#network = await NodeNetwork.open({
      link,
      identity,
      nsm,
      roots,
      nowMs,
      crypto,
      rng,
      api: node,
      log,
    });
    log('info', 'node-open', { step: node.#phase });
    return node;
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#member?.stop();
    await this.#network?.close();
    this.#sealed?.seal.close();
  }

  async describe(): Promise<NodeDescription> {
    const { chain } = this.#configurations;
    const enrolment = this.#member?.standing.enrolment;
    const { identity, bootKey } = this.#sealed?.entry ?? {
      ...{ identity: this.#newborn.identity.publicKey, bootKey: this.#newborn.bootKey.publicKey },
    };
    return {
      ...{ identity, bootKey, phase: this.#phase, reason: this.#loss },
      network: chain && this.#sealed && this.#joinedNetwork(chain, this.#sealed.entry.party),
      connectedPeers: this.#network?.peers?.connected() ?? [],
      keyIds: this.#member?.work?.keys.ids ?? [],
      enrolment: enrolment && encode(enrolmentCodec, enrolment),
    };
  }

  join(request: JoinRequest): Promise<JoinedNetwork> {
    const joining = this.#joining.then(() => this.#joinNow(request));
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
  #serving(service: Service): Work {
    this.#advance();
    requireService(this.#phase, service);
    const work = this.#member?.work;
    if (work === undefined) throw new KmsError('UNAVAILABLE', 'the node has not opened its state yet');
    return work;
  }

  /** Goes to the phase that the facts lead to, and does what comes with it. */
  #advance(): void {
    const standing = this.#member?.standing;
    this.#sealed?.seal.refresh();
    if (this.#sealed?.seal.isOvertaken === true) this.#loss ??= 'other nodes hold a later state of this node';
    const before = this.#phase;
    this.#phase = phaseAfter(before, {
      ...this.#facts,
      acknowledged: (standing?.isAcknowledged ?? false) && (this.#sealed?.seal.isKnown ?? false),
      clockGood: standing?.isClockGood ?? false,
      lost: this.#loss !== undefined,
      superseded: standing?.isSuperseded ?? false,
      stopped: this.#configurations.chain?.conflict !== undefined,
    });
    if (this.#phase === before) return;
    this.#parts.log('info', 'phase', { step: this.#phase });
    if (this.#phase === 'superseded') {
      void this.#leave().finally(() => this.#parts.onSuperseded?.());
    } else if (this.#phase === 'recover') {
      // What it keeps for others it still gives them; it has no word in anything else.
      this.#member?.stop();
      void this.#network?.peers?.close();
    } else if (serves(this.#phase, 'protocols')) {
      this.#work();
    }
  }

  /** Continues what was begun in earlier lives, and reads what came too early, once. */
  #work(): void {
    if (this.#working) return;
    this.#working = true;
    this.#member?.work?.ceremonies.load().catch((error: unknown) => {
      this.#parts.log('error', 'key-generations-not-continued', { code: codeOf(error) });
    });
    for (const { from, message } of this.#held.release()) void this.#handle(from, message);
  }

  /** No word to any peer any more. */
  async #leave(): Promise<void> {
    this.#member?.stop();
    await this.#network?.leave();
  }

  async #joinNow(request: JoinRequest): Promise<JoinedNetwork> {
    const { genesis, configurations } = request;
    if (this.#sealed === undefined) return this.#joinFirst(request);
    if (this.#phase === 'superseded') requireService(this.#phase, 'join');
    const chain = await this.#configurations.join(genesis, configurations);
    await this.#follow(chain);
    if (this.#phase === 'stopped') requireService(this.#phase, 'join');
    return this.#joinedNetwork(chain, this.#sealed.entry.party);
  }

  /** A new identity that a configuration names is founded; otherwise this process is a later life of the party it is told. */
  async #joinFirst({ genesis, configurations, party }: JoinRequest): Promise<JoinedNetwork> {
    const { identity, bootKey } = this.#newborn;
    const chain = this.#configurations.preview(genesis, configurations);
    const { members } = chain.newest.signed.configuration;
    const own = memberOf(chain.newest.signed.configuration, identity.publicKey);
    if (own !== undefined && !equalBytes(own.bootKey, bootKey.publicKey)) {
      throw badConfiguration('the configuration names another boot key for this node');
    }
    const entry = own ?? (party === undefined ? undefined : members[party - 1]);
    if (entry === undefined) {
      throw badConfiguration(
        'the configuration does not name this node; say which party it is if it starts again',
      );
    }
    // KMS and every peer look at this register.
    await bindToNetwork(this.#parts.nsm, chain.networkId);
    const given = { genesis, configurations, chain };
    return own === undefined ? this.#startAgain(entry, given) : this.#startNew(entry, given);
  }

  async #startNew(entry: MemberEntry, given: Given): Promise<JoinedNetwork> {
    const { identity, identitySeed, bootSeed } = this.#newborn;
    const cloud = await this.#openCloud(given.chain, entry);
    const tierOne = await createTierOne(this.#place(cloud, given.chain, entry));
    await tierOne.put(BOOT_KEY, bootSeed);
    const chain = await this.#know(tierOne, given);
    const sealed = await this.#open1(chain, entry, cloud, tierOne);
    this.#facts.founding = true;
    this.#advance();
    const membership = { ...sealed.roll, signer: identity };
    this.#member = await this.#enter(membership, sealed);
    const secrets = new Map([
      [IDENTITY, identitySeed],
      [RESULT_SIGNER, newResultSigner(this.#parts.rng)],
    ]);
    this.#background('founding-failed', async () => {
      const state = await sealed.seal.found(membership, secrets);
      for (const secret of [...secrets.values(), bootSeed]) secret.fill(0);
      await this.#begin(state);
    });
    return this.#joinedNetwork(chain, entry.party);
  }

  async #startAgain(entry: MemberEntry, given: Given): Promise<JoinedNetwork> {
    const cloud = await this.#openCloud(given.chain, entry);
    const tierOne = await openTierOne(this.#place(cloud, given.chain, entry));
    const seed = await tierOne?.get(BOOT_KEY);
    if (tierOne === undefined || seed === undefined) {
      throw new KmsError('STORE_FAILED', `nothing of party ${entry.party} of this network is in its bucket`);
    }
    const bootKey = ed25519Signer(seed);
    seed.fill(0);
    if (!equalBytes(bootKey.publicKey, entry.bootKey)) {
      throw new KmsError('STORE_FAILED', 'the bucket holds another boot key than the configuration names');
    }
    const chain = await this.#know(tierOne, given);
    const sealed = await this.#open1(chain, entry, cloud, tierOne);
    await this.#open.speakAs({ identity: entry.identity, signer: bootKey }, chain.networkId);
    if (chain.conflict !== undefined) {
      await this.#follow(chain);
      requireService(this.#phase, 'join');
    }
    this.#facts.booting = true;
    this.#advance();
    const { roll, peers, seal } = sealed;
    this.#open.answerRecalls(peers, (party) => seal.memory.recall(party));
    this.#background('unsealing-failed', async () => {
      const state = await unseal(roll, seal, {
        recall: (party) => this.#open.recall(peers, party),
        anchor: this.#parts.anchor,
        onRecalled: () => {
          this.#facts.recalled = true;
          this.#advance();
        },
        signal: this.#stop.signal,
        log: this.#parts.log,
      });
      const membership = { ...roll, signer: await identityIn(state, entry) };
      this.#member = await this.#enter(membership, sealed);
      seal.announce(membership, state);
      await this.#begin(state);
    });
    return this.#joinedNetwork(chain, entry.party);
  }

  async #begin(state: StateStore): Promise<void> {
    await this.#member?.begin(state);
    this.#facts.unsealed = true;
    this.#advance();
  }

  /** Its failure is the end of this node's way: the reason is for its operator. */
  #background(event: string, work: () => Promise<void>): void {
    work().catch((error: unknown) => {
      if (this.#stop.signal.aborted) return;
      this.#parts.log('error', event, { code: codeOf(error) });
      this.#loss = error instanceof KmsError ? error.message : 'an internal error';
      this.#advance();
    });
  }

  /** The storage that the newest configuration names, or while two are valid that of the one before: for the image before. */
  async #openCloud(chain: ConfigurationChain, { party }: MemberEntry): Promise<Cloud> {
    const { networkId } = chain;
    const candidates = chain.links.slice(-2).toReversed();
    let failure: unknown;
    for (const { signed } of candidates) {
      const entry = signed.configuration.members[party - 1];
      if (entry === undefined) continue;
      try {
        return await this.#parts.openCloud({ storage: entry.storage, networkId, party });
      } catch (error) {
        failure ??= error;
      }
    }
    throw failure;
  }

  #place(cloud: Cloud, { networkId }: ConfigurationChain, { party }: MemberEntry) {
    const { primitives: hashes, rng, log } = this.#parts;
    const onTrouble = (error: unknown): void => log('warn', 'storage-trouble', { code: codeOf(error) });
    return { cloud, networkId, party, hashes, rng, onTrouble };
  }

  /** What the bucket and the caller know together; never less than the bucket does. */
  async #know(tierOne: VersionedStore, { genesis, configurations }: Given): Promise<ConfigurationChain> {
    await this.#configurations.attach(tierOne);
    return this.#configurations.join(genesis, configurations);
  }

  async #open1(
    chain: ConfigurationChain,
    entry: MemberEntry,
    cloud: Cloud,
    tierOne: VersionedStore,
  ): Promise<Sealed> {
    const { rng, log, roundMs, anchor } = this.#parts;
    const roll = this.#roll(chain, entry.party);
    const seal = await NodeSeal.open({
      ...{ roll, cloud, tierOne, rng, log, anchor, dealMs: roundMs, tell },
      lines: () => {
        const { peers } = this.#open;
        return peers?.lines().filter((line) => peers.isAdmitted(line)) ?? [];
      },
      incarnation: () => {
        const standing = this.#member?.standing;
        return standing?.isAcknowledged === true ? standing.incarnation.number : undefined;
      },
      onChange: () => this.#advance(),
    });
    const roster = new Roster(chain.networkId, entry.identity, () => this.#configurations.valid());
    const peers = { roster, trust: this.#trustIn(chain) };
    this.#sealed = { entry, roll, peers, seal };
    return this.#sealed;
  }

  #enter(membership: Membership, { peers, seal }: Sealed): Promise<Member> {
    return Member.enter(membership, {
      ...{ parts: this.#parts, network: this.#open, peers, seal },
      mayEnrol: () => serves(this.#phase, 'protocols'),
      onMessage: (from, payload, line) => this.#receive(from, payload, line),
      onChange: () => this.#advance(),
    });
  }

  /** Does what the durable chain says. Later configurations act through the roster; a conflict ends the node's work. */
  async #follow(chain: ConfigurationChain): Promise<void> {
    if (chain.conflict === undefined) return;
    this.#parts.log('error', 'stopped', { code: 'CONFLICT', networkId: chain.networkId });
    this.#advance();
    await this.#leave();
    await this.#open.present(chain.networkId);
  }

  #joinedNetwork(chain: ConfigurationChain, party: PartyId): JoinedNetwork {
    const { digest: newest, signed } = chain.newest;
    const { number, epoch } = signed.configuration;
    return { id: chain.networkId, party: partyId(party), epoch, configuration: { number, digest: newest } };
  }

  #trustIn({ networkId }: ConfigurationChain): NodeTrust {
    return this.#open.trustIn(networkId, () => this.#configurations.measurements());
  }

  get #open(): NodeNetwork {
    if (this.#network === undefined) throw new KmsError('INTERNAL', 'the node is not open yet');
    return this.#network;
  }

  #roll(chain: ConfigurationChain, self: PartyId): Roll {
    const { digest: began, signed } = chain.epochStart;
    const { epoch, members } = signed.configuration;
    return {
      networkId: chain.networkId,
      configuration: began,
      epoch,
      committee: committeeOf(signed.configuration),
      self,
      identities: new Map(members.map(({ party, identity }) => [party, identity])),
      primitives: this.#parts.primitives,
    };
  }

  /** Resolves when the message has been dealt with: meanwhile its sender, and nobody else, is held back. */
  async #receive(from: PartyId, payload: Uint8Array, line: Line): Promise<void> {
    const standing = this.#member?.standing;
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
      if (codeOf(error) === 'BAD_ENCODING') await standing?.receivedMalformed(from);
    }
  }

  async #handle(from: PartyId, message: ProtocolMessage): Promise<void> {
    try {
      this.#serving('protocols');
      await this.#member?.handle(from, message);
    } catch (error) {
      this.#dropped(from, error);
    }
  }

  #dropped(from: PartyId, error: unknown): void {
    this.#parts.log('warn', 'message-dropped', { party: from, code: codeOf(error) });
  }
}

interface Given {
  readonly genesis: Uint8Array;
  readonly configurations: readonly Uint8Array[];
  readonly chain: ConfigurationChain;
}

/** The identity key was born in the process that founded this node, and is sealed. */
async function identityIn(state: StateStore, { identity }: MemberEntry): Promise<Signer> {
  const seed = await state.get(IDENTITY);
  if (seed === undefined) throw new KmsError('STORE_FAILED', 'the state holds no identity');
  const signer = ed25519Signer(seed);
  seed.fill(0);
  if (!equalBytes(signer.publicKey, identity)) {
    throw new KmsError('STORE_FAILED', 'the state holds another identity than the configuration names');
  }
  return signer;
}
