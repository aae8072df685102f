import { pause } from '../../gateway/adapter/backoff.ts';
import { hexOf } from '../../gateway/adapter/chain-data.ts';
import { callOf, read } from '../../gateway/adapter/contract.ts';
import { revertOf } from '../../gateway/adapter/log.ts';
import { codeOf } from '../../shared/errors.ts';
import type { EnclaveAnchor } from './enclave-client.ts';
import type { ConnectorPorts } from './ports.ts';

export interface AnchorPace {
  /** How often the enclave is asked how far its state has come; one that stays the same so long is anchored. */
  readonly everyMs: number;
  /** A state that keeps changing is anchored after this. */
  readonly latestMs: number;
}

/** Of the hour that an enclave works on without (enclave/sealing/anchor-watch.ts), finality included. */
export const ANCHOR_PACE: AnchorPace = { everyMs: 10_000, latestMs: 600_000 };

type AnchorPorts = Pick<ConnectorPorts, 'enclave' | 'party' | 'sender' | 'log' | 'signal'> & {
  readonly network: { readonly gateway: Pick<ConnectorPorts['network']['gateway'], 'registry'> };
};

/**
 * Has the registry remember how far the state of this node has come: when it starts, and whenever it has changed and stays. A key
 * generation changes it a dozen times in a row, and is one transaction.
 */
export class Anchoring {
  readonly #ports: AnchorPorts;
  readonly #pace: AnchorPace;
  /** What has been said to go wrong. */
  #trouble: string | undefined;

  constructor(ports: AnchorPorts, pace: AnchorPace = ANCHOR_PACE) {
    [this.#ports, this.#pace] = [ports, pace];
  }

  /** Until the signal is given. An enclave or a chain that is down is asked again. */
  async run(): Promise<void> {
    const { enclave, signal } = this.#ports;
    const { everyMs, latestMs } = this.#pace;
    let before: bigint | undefined;
    /** When the newest state was last found on the chain. */
    let anchoredMs = Number.NEGATIVE_INFINITY;
    while (!signal.aborted) {
      try {
        const signed = await enclave.signAnchor(signal);
        const { version } = signed.anchor;
        const isDue = version === before || performance.now() - anchoredMs >= latestMs;
        before = version;
        const isAnchored = (await this.#isAnchored(signed)) || (isDue && (await this.#post(signed)));
        if (isAnchored) [anchoredMs, this.#trouble] = [performance.now(), undefined];
      } catch (error) {
        if (!signal.aborted) this.#warn(codeOf(error), 'anchor-delayed', { code: codeOf(error) });
      }
      await pause(everyMs, signal);
    }
  }

  /** @returns whether it is on the chain now */
  async #post(signed: EnclaveAnchor): Promise<boolean> {
    const { network, party, sender, log } = this.#ports;
    const { anchor, signature } = signed;
    const { identity, version, state, auditHead } = anchor;
    const said = { version, identity: hexOf(identity), state: hexOf(state), auditHead: hexOf(auditHead) };
    const call = callOf(network.gateway.registry, 'anchor', [party, said, hexOf(signature)]);
    const outcome = await sender.send(`anchor-${version}`, call, () => this.#isAnchored(signed));
    if (outcome.kind === 'refused') {
      // Until its epoch is active nobody's signer is enrolled.
      const { revert } = revertOf(outcome.refusal);
      this.#warn(revert ?? 'refused', 'anchor-refused', revertOf(outcome.refusal));
      return false;
    }
    log('info', 'anchored', { count: Number(version) });
    return true;
  }

  async #isAnchored({ anchor: { identity, version } }: EnclaveAnchor): Promise<boolean> {
    const { registry } = this.#ports.network.gateway;
    return (await read(registry, 'anchorVersions', [hexOf(identity)])) >= version;
  }

  /** Once, not at every turn. */
  #warn(trouble: string, event: string, fields: Parameters<AnchorPorts['log']>[2]): void {
    if (this.#trouble !== trouble) this.#ports.log('warn', event, fields);
    this.#trouble = trouble;
  }
}
