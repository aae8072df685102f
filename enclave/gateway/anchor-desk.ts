import { KmsError } from '../../shared/errors.ts';
import { type TypedDomain, typedDigest } from '../../shared/gateway/eip712.ts';
import { type NodeAnchor, nodeAnchor } from '../../shared/gateway/node-anchor.ts';
import { signDigest } from '../../shared/gateway/signature.ts';
import type { Membership } from '../../shared/protocol/machine.ts';
import type { ResultSigner } from '../membership/result-signer.ts';
import type { StateVersion } from '../store/versioned-store.ts';

export interface AnchorDeskPorts {
  readonly membership: Membership;
  readonly domain: TypedDomain;
  readonly signer: ResultSigner;
  /** The newest state of this node that took effect by the word of this boot. */
  readonly inEffect: () => StateVersion | undefined;
}

export interface SignedAnchor {
  readonly anchor: NodeAnchor;
  /** By this node's result signer, 65 bytes. */
  readonly signature: Uint8Array;
}

/**
 * Signs how far this node's state has come, for Registry.anchor. Only what n-1-t others hold: below what is anchored this node never
 * goes on, so what could still be lost must not be anchored.
 */
export class AnchorDesk {
  readonly #ports: AnchorDeskPorts;
  #signed: SignedAnchor | undefined;

  constructor(ports: AnchorDeskPorts) {
    this.#ports = ports;
  }

  /** The same for the same state: whoever asks costs one signature a state. @throws {KmsError} UNAVAILABLE before a state has taken effect in this life */
  sign(): SignedAnchor {
    const { membership, domain, signer, inEffect } = this.#ports;
    const state = inEffect();
    if (state === undefined) throw new KmsError('UNAVAILABLE', 'no state has taken effect in this life yet');
    if (this.#signed?.anchor.version === BigInt(state.version)) return this.#signed;
    const anchor = nodeAnchor(membership.signer.publicKey, state);
    const digest = typedDigest(domain, 'Anchor', anchor);
    this.#signed = { anchor, signature: signer.use((secret) => signDigest(digest, secret)) };
    return this.#signed;
  }
}
