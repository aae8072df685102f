import { codeOf, KmsError } from '../shared/errors.ts';
import { typedDomainOf } from '../shared/gateway/eip712.ts';
import type { KeyId, PartyId } from '../shared/ids.ts';
import { enrolmentCodec } from '../shared/membership/enrolment.ts';
import type { ConfigurationChain } from '../shared/network/chain.ts';
import type { Member as MemberEntry } from '../shared/network/configuration.ts';
import type { Membership } from '../shared/protocol/machine.ts';
import { peerMessage } from '../shared/protocol/peer-message.ts';
import { decode, encode } from '../shared/wire/codec.ts';
import type { JoinedNetwork, JoinRequest, NodeApi, NodeDescription } from './api.ts';
import { Configurations } from './configurations.ts';
import type { SignedAnchor } from './gateway/anchor-desk.ts';
import type { BatchRequest } from './gateway/batch-desk.ts';
import type { CommandProgress, CommandRequest } from './gateway/command-desk.ts';
import type { GatewayAnswer, GatewayRequest } from './gateway/gateway-desk.ts';
import type { PartyWord } from './gateway/signature-pool.ts';
import { IDENTITY, sealedSigner } from './identity.ts';
import { Member, type ProtocolMessage, type Work } from './member.ts';
import { HeldMessages } from './membership/held-messages.ts';
import { type Phase, phaseAfter, requireService, type Service, serves } from './membership/phases.ts';
import type { Line } from './net/line.ts';
import { NodeNetwork } from './net/node-network.ts';
import { Newborn } from './newborn.ts';
import type { NodeParts } from './node-parts.ts';
import { bindToNetwork } from './nsm/network-binding.ts';
import {
  foundSealedNode,
  joinedNetwork,
  placeIn,
  reopenSealedNode,
  type SealedNode,
  type SealedNodePorts,
  sealForSuccessor,
} from './sealed-node.ts';
import { AnchorWatch } from './sealing/anchor-watch.ts';
import type { StateStore } from './sealing/state-store.ts';
import { unseal } from './sealing/unsealing.ts';
import { Services } from './services.ts';

export type { NodeParts } from './node-parts.ts';

/**
 * One node: its identity is born here and stays; it joins one network, once; then it generates keys and decrypts with
 * its share of them. Everything it knows beyond this process life is in its sealed storage, in two tiers.
 */
export class Node implements NodeApi {
  readonly #parts: NodeParts;
  readonly #newborn: Newborn;
  readonly #configurations: Configurations;
  readonly #services = new Services((service) => this.#serving(service));
  readonly #stop = new AbortController();
  #network: NodeNetwork | undefined;
  #sealed: SealedNode | undefined;
  #member: Member | undefined;
  #watch: AnchorWatch | undefined;
  #phase: Phase = 'unjoined';
  readonly #facts = { founding: false, booting: false, recalled: false, unsealed: false };
  /** Why the node does not go on by itself. */
  #loss: string | undefined;
  /** Nothing of a protocol is read or said while this node is not ready. */
  readonly #held = new HeldMessages<ProtocolMessage>();
  #working = false;
  /** The state is open, or will not be. */
  readonly #opened = Promise.withResolvers<void>();
  /** Joining is one at a time: two callers with two networks must not both succeed. */
  #joining: Promise<unknown> = Promise.resolve();

  private constructor(parts: NodeParts) {
    const { primitives: crypto, build, head, rng } = parts;
    this.#parts = parts;
    this.#newborn = new Newborn(rng);
    this.#configurations = new Configurations({ crypto, build, head });
  }

  /** A node that waits to be told its network: as a new member, or as one that starts again. */
  static async open(parts: NodeParts): Promise<Node> {
    const { link, primitives: crypto, rng, nsm, roots, nowMs, log, furtherRoutes } = parts;
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
      furtherRoutes: furtherRoutes?.((service) => node.#serving(service)),
      log,
    });
    log('info', 'node-open', { step: node.#phase });
    return node;
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#opened.resolve();
    this.#member?.stop();
    await this.#network?.close();
    this.#watch?.close();
    this.#sealed?.onChain?.chains.close();
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
      network: chain && this.#sealed && joinedNetwork(chain, this.#sealed.entry.party),
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

  listKeys(): Promise<readonly KeyId[]> {
    return this.#services.listKeys();
  }

  getKey(key: KeyId): Promise<Uint8Array> {
    return this.#services.getKey(key);
  }

  answer(request: GatewayRequest, signal: AbortSignal): Promise<GatewayAnswer> {
    return this.#services.answer(request, signal);
  }

  signBatch(request: BatchRequest, signal: AbortSignal): Promise<readonly PartyWord[]> {
    return this.#services.signBatch(request, signal);
  }

  signAnchor(): Promise<SignedAnchor> {
    return this.#services.signAnchor();
  }

  carryOut(request: CommandRequest, signal: AbortSignal): AsyncIterable<CommandProgress> {
    return this.#services.carryOut(request, signal);
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
      anchored: this.#isAnchored,
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
      this.#watch?.close();
      this.#member?.stop();
      void this.#network?.peers?.close();
    } else if (serves(this.#phase, 'protocols')) {
      this.#work();
      // What it was to say meanwhile it has not said.
      if (before === 'unanchored') this.#member?.introduce();
    }
  }

  /** Continues what was begun in earlier lives, once, and reads what came meanwhile. */
  #work(): void {
    if (!this.#working) this.#resume();
    for (const { from, message } of this.#held.release(performance.now())) void this.#handle(from, message);
  }

  #resume(): void {
    this.#working = true;
    this.#member?.work?.ceremonies.load().catch((error: unknown) => {
      this.#parts.log('error', 'key-generations-not-continued', { code: codeOf(error) });
      // What this node has signed it does not know any more: it must not sign anything else.
      if (!this.#stop.signal.aborted) this.#lose(error);
    });
  }

  /** No word to any peer any more. */
  async #leave(): Promise<void> {
    this.#watch?.close();
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
    if (this.#facts.unsealed) await sealForSuccessor(this.#sealed, this.#parts, chain);
    return joinedNetwork(chain, this.#sealed.entry.party);
  }

  async #joinFirst(request: JoinRequest): Promise<JoinedNetwork> {
    const chain = this.#configurations.preview(request.genesis, request.configurations);
    const { entry, isNew } = placeIn(chain, this.#newborn, request.party);
    // KMS and every peer look at this register.
    await bindToNetwork(this.#parts.nsm, chain.networkId);
    return isNew ? this.#startNew(chain, entry, request) : this.#startAgain(chain, entry, request);
  }

  async #startNew(
    preview: ConfigurationChain,
    entry: MemberEntry,
    request: JoinRequest,
  ): Promise<JoinedNetwork> {
    const sealed = await foundSealedNode(this.#ports, preview, entry, this.#newborn, request);
    this.#sealed = sealed;
    this.#facts.founding = true;
    this.#advance();
    const membership = { ...sealed.roll, signer: this.#newborn.identity };
    this.#background('founding-failed', async () => {
      this.#member = await this.#enter(membership, sealed);
      const state = await sealed.seal.found(membership, this.#newborn.firstState());
      this.#newborn[Symbol.dispose]();
      await this.#begin(state);
    });
    return joinedNetwork(sealed.chain, entry.party);
  }

  async #startAgain(
    preview: ConfigurationChain,
    entry: MemberEntry,
    request: JoinRequest,
  ): Promise<JoinedNetwork> {
    const { node: sealed, bootKey } = await reopenSealedNode(this.#ports, preview, entry, request);
    this.#sealed = sealed;
    const { chain, roll, peers, seal, onChain } = sealed;
    await this.#open.speakAs({ identity: entry.identity, signer: bootKey }, chain.networkId);
    this.#newborn[Symbol.dispose]();
    if (chain.conflict !== undefined) {
      await this.#follow(chain);
      requireService(this.#phase, 'join');
    }
    this.#facts.booting = true;
    this.#advance();
    this.#open.answerRecalls(peers, (party) => seal.memory.recall(party));
    this.#background('unsealing-failed', async () => {
      const state = await unseal(roll, seal, {
        recall: (party) => this.#open.recall(peers, party),
        anchor: onChain?.anchor,
        nowMs: this.#parts.nowMs,
        onRecalled: () => {
          this.#facts.recalled = true;
          this.#advance();
        },
        signal: this.#stop.signal,
        log: this.#parts.log,
      });
      const membership = { ...roll, signer: await sealedSigner(state, IDENTITY, entry.identity) };
      this.#member = await this.#enter(membership, sealed);
      seal.announce(membership, state);
      await this.#begin(state);
    });
    return joinedNetwork(chain, entry.party);
  }

  async #begin(state: StateStore): Promise<void> {
    await this.#member?.begin(state);
    this.#facts.unsealed = true;
    this.#watchAnchor();
    this.#advance();
    this.#opened.resolve();
  }

  /** Always so in a network without a gateway. */
  get #isAnchored(): boolean {
    return this.#sealed?.onChain === undefined || this.#watch?.isSettled === true;
  }

  #watchAnchor(): void {
    const { nowMs, log, headPollMs: pollMs } = this.#parts;
    const { onChain, seal } = this.#sealed ?? {};
    const isOver = this.#stop.signal.aborted || this.#loss !== undefined;
    if (onChain === undefined || seal?.course === undefined || isOver) return;
    this.#watch = new AnchorWatch({
      ...{ anchor: onChain.anchor, course: seal.course, nowMs, log, pollMs },
      onChange: () => this.#advance(),
      onOld: (error) => this.#lose(error),
    });
    this.#watch.start();
  }

  /** Its failure is the end of this node's way: the reason is for its operator. */
  #background(event: string, work: () => Promise<void>): void {
    work().catch((error: unknown) => {
      if (this.#stop.signal.aborted) return;
      this.#parts.log('error', event, { code: codeOf(error) });
      this.#lose(error);
    });
  }

  #lose(error: unknown): void {
    this.#loss ??= error instanceof KmsError ? error.message : 'an internal error';
    this.#advance();
    this.#opened.resolve();
  }

  get #ports(): SealedNodePorts {
    return {
      ...{ parts: this.#parts, network: this.#open, configurations: this.#configurations },
      incarnation: () => {
        const standing = this.#member?.standing;
        return standing?.isAcknowledged === true ? standing.incarnation.number : undefined;
      },
      onChange: () => this.#advance(),
      onLost: (error) => this.#lose(error),
    };
  }

  #enter(membership: Membership, { chain, onChain, peers, seal }: SealedNode): Promise<Member> {
    const domain = typedDomainOf(chain.genesis);
    const anchor = chain.genesis.gateway;
    return Member.enter(membership, {
      ...{ parts: this.#parts, network: this.#open, peers, seal },
      gateway: domain && onChain && { anchor, domain, heads: onChain.chains.heads },
      mayEnrol: () => serves(this.#phase, 'protocols'),
      maySpeak: () => this.#isAnchored,
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

  get #open(): NodeNetwork {
    if (this.#network === undefined) throw new KmsError('INTERNAL', 'the node is not open yet');
    return this.#network;
  }

  /** Resolves when the message has been dealt with: meanwhile its sender, and nobody else, is held back. */
  async #receive(from: PartyId, payload: Uint8Array, line: Line): Promise<void> {
    const standing = this.#member?.standing;
    try {
      const message = decode(peerMessage, payload);
      if (message.kind === 'membership') {
        // Its lines are up before its state is: who speaks then is held back, for nobody says such things twice.
        if (this.#phase === 'unseal') await this.#opened.promise;
        if (serves(this.#phase, 'membership')) await standing?.receive(line, message.message);
      } else if (!(standing?.isCurrent(line) ?? false)) {
        throw new KmsError('BAD_PEER', 'not the latest boot of this member');
      } else if (serves(this.#phase, 'protocols')) {
        await this.#handle(from, message);
      } else if (!this.#held.hold(from, message, payload.length, performance.now())) {
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
