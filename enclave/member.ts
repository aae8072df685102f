import { codeOf, KmsError } from '../shared/errors.ts';
import type { PartyId } from '../shared/ids.ts';
import type { Membership } from '../shared/protocol/machine.ts';
import type { PeerMessage } from '../shared/protocol/peer-message.ts';
import { Ceremonies } from './ceremonies.ts';
import { DecryptionDesk } from './decryption-desk.ts';
import { type Gateway, type GatewayWork, gatewayWork } from './gateway/gateway-work.ts';
import { honestDecryptor, KeyRing } from './key-ring.ts';
import { Standing } from './membership/standing.ts';
import type { Line } from './net/line.ts';
import type { NodeNetwork } from './net/node-network.ts';
import type { PeerTrust } from './net/tls.ts';
import type { NodeParts } from './node-parts.ts';
import type { NodeSeal } from './sealing/node-seal.ts';
import type { StateStore } from './sealing/state-store.ts';
import { WrongShares } from './wrong-shares.ts';

export type ProtocolMessage = Exclude<PeerMessage, { readonly kind: 'membership' }>;

export interface MemberPorts {
  readonly parts: NodeParts;
  readonly network: NodeNetwork;
  readonly peers: PeerTrust;
  readonly seal: NodeSeal;
  /** Undefined in a network without one. */
  readonly gateway: Gateway | undefined;
  /** True while this node may sign statements. */
  readonly mayEnrol: () => boolean;
  /** False while protocols that go on are not to be heard. */
  readonly maySpeak: () => boolean;
  readonly onMessage: (from: PartyId, payload: Uint8Array, line: Line) => void | Promise<void>;
  /** Something changed that may change the phase. */
  readonly onChange: () => void;
}

/** What a node works with once its state is open. */
export interface Work {
  readonly keys: KeyRing;
  readonly ceremonies: Ceremonies;
  readonly desk: DecryptionDesk;
  /** Undefined in a network without a gateway. */
  readonly gateway: GatewayWork | undefined;
}

/** A node that speaks for its identity among the others: its standing with them, and its work once its state is open. */
export class Member {
  readonly membership: Membership;
  readonly standing: Standing;
  readonly #ports: MemberPorts;
  #work: Work | undefined;

  private constructor(membership: Membership, standing: Standing, ports: MemberPorts) {
    this.membership = membership;
    this.standing = standing;
    this.#ports = ports;
  }

  /** Shows the identity from now on, takes this boot's number and connects to the others. @throws {KmsError} STORE_FAILED; as Nsm */
  static async enter(membership: Membership, ports: MemberPorts): Promise<Member> {
    const { parts, network, peers, seal } = ports;
    const { publicKey: identity } = membership.signer;
    await network.speakAs({ identity, signer: membership.signer }, membership.networkId);
    const standing = await Standing.open(membership, {
      domain: ports.gateway?.domain,
      ...{ store: seal.tierOne, seal, rng: parts.rng, log: parts.log, nowMs: parts.nowMs },
      ...(parts.timing === undefined ? {} : { timing: parts.timing }),
      ...{ spki: network.spki, trust: peers.trust },
      document: (nonce) => network.document(nonce),
      lines: () => network.peers?.lines() ?? [],
      isAdmitted: (line) => network.peers?.isAdmitted(line) ?? false,
      mayEnrol: ports.mayEnrol,
      onChange: ports.onChange,
    });
    const member = new Member(membership, standing, ports);
    network.answerRecalls(peers, (party) => seal.memory.recall(party));
    await network.join(peers.roster, peers.trust, {
      onMessage: (from, payload, line) => ports.onMessage(from, payload, line),
      onPeer: (party, up) => {
        if (up) member.#work?.ceremonies.introduce(party);
      },
      onLine: (line) => standing.onLine(line),
      onDisplaced: (line) => standing.onDisplaced(line),
    });
    standing.start();
    return member;
  }

  /** Undefined until the state is open. */
  get work(): Work | undefined {
    return this.#work;
  }

  /** The node's own state is open from now on. @throws {KmsError} STORE_FAILED */
  async begin(state: StateStore): Promise<void> {
    const { parts, network, maySpeak } = this.#ports;
    const { kernel, rng, nowMs, log, roundMs, openingMs } = parts;
    const send = (to: PartyId, payload: Uint8Array): void => {
      if (!maySpeak()) return;
      // A peer that cannot take messages is the transport's to report; the protocols live without it.
      try {
        network.peers?.send(to, payload);
      } catch (error) {
        log('warn', 'send-failed', { party: to, code: codeOf(error) });
      }
    };
    const signer = await this.standing.enrol(state);
    const wrong = new WrongShares(log, nowMs);
    const onWrongShares = (parties: readonly PartyId[]): void => wrong.seen(parties);
    const keys = new KeyRing(this.membership, kernel, parts.makeDecryptor ?? honestDecryptor);
    const ceremonies = new Ceremonies(
      this.membership,
      { kernel, rng, roundMs, openingMs },
      {
        store: state,
        send,
        nowMs,
        onKey: (finished) => {
          keys.add(finished);
          log('info', 'key-ready', { keyId: finished.record.key });
        },
        onFailure: (error) => log('error', 'key-generation-failed', { code: codeOf(error) }),
        onWrongShares,
      },
    );
    const connected = (): readonly PartyId[] => network.peers?.connected() ?? [];
    const desk = new DecryptionDesk({
      ...{ membership: this.membership, kernel, keys, rng, send, connected, onWrongShares },
    });
    const signerOf = (party: PartyId): Promise<Uint8Array | undefined> => this.standing.signerOf(party);
    const gateway =
      this.#ports.gateway &&
      gatewayWork({
        ...{ membership: this.membership, gateway: this.#ports.gateway, store: state, nowMs, send },
        ...{ keys, ceremonies, desk, signer, signerOf, inEffect: () => this.#ports.seal.inEffect },
      });
    this.#work = { keys, ceremonies, desk, gateway };
  }

  /** A message of a protocol from the latest process of a member. @throws {KmsError} it was worth nothing */
  async handle(from: PartyId, message: ProtocolMessage): Promise<void> {
    if (this.#work === undefined) throw new KmsError('UNAVAILABLE', 'the node has not opened its state yet');
    const { ceremonies, desk, gateway } = this.#work;
    if (message.kind === 'keygen') await ceremonies.receive(from, message.purpose, message.body);
    else if (message.kind === 'decryption-share') desk.receive(from, message);
    else if (message.kind === 'result-batch') gateway?.batches.receive(from, message.leaves);
    else await gateway?.pool.receive(from, message.topic, message, message.asks);
  }

  /** Tells all members that are connected of every key, as if they had just come up. */
  introduce(): void {
    for (const party of this.#ports.network.peers?.connected() ?? []) this.#work?.ceremonies.introduce(party);
  }

  stop(): void {
    this.standing.stop();
    this.#work?.ceremonies.stop();
  }
}
