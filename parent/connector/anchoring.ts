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

/** Of an hour that an enclave works on without (enclave/sealing/anchor-watch.ts). */
export const ANCHOR_PACE: AnchorPace = { everyMs: 10_000, latestMs: 600_000 };

/**
 * Has the registry remember how far the state of this node has come: when it starts, and whenever it has changed and stays. A key
 * generation changes it a dozen times in a row, and is one transaction.
 */
export class Anchoring {
  readonly #ports: ConnectorPorts;
  readonly #pace: AnchorPace;
  #isWell = true;
  /** Version that the registry did not take. */
  #refused: bigint | undefined;

  constructor(ports: ConnectorPorts, pace: AnchorPace = ANCHOR_PACE) {
    [this.#ports, this.#pace] = [ports, pace];
  }

  /** Until the signal is given. An enclave or a chain that is down is asked again. */
  async run(): Promise<void> {
    const { signal } = this.#ports;
    const { everyMs, latestMs } = this.#pace;
    let before: bigint | undefined;
    /** How long the newest state has waited. */
    let waitedMs = latestMs;
    while (!signal.aborted) {
      const signed = await this.#told(() => this.#ports.enclave.signAnchor(signal));
      if (signed !== undefined) {
        const { version } = signed.anchor;
        const isDue = version === before || waitedMs >= latestMs;
        before = version;
        const isAnchored = await this.#told(() => (isDue ? this.#post(signed) : this.#isAnchored(signed)));
        waitedMs = isAnchored === true ? 0 : waitedMs + everyMs;
      }
      await pause(everyMs, signal);
    }
  }

  /** @returns whether it is on the chain now */
  async #post(signed: EnclaveAnchor): Promise<boolean> {
    if (await this.#isAnchored(signed)) return true;
    const { network, party, sender, log } = this.#ports;
    const { anchor, signature } = signed;
    const { identity, version, state, auditHead } = anchor;
    const said = { version, identity: hexOf(identity), state: hexOf(state), auditHead: hexOf(auditHead) };
    const call = callOf(network.gateway.registry, 'anchor', [party, said, hexOf(signature)]);
    const outcome = await sender.send(`anchor-${version}`, call, () => this.#isAnchored(signed));
    if (outcome.kind === 'refused') {
      // Until its epoch is active nobody's signer is enrolled, which is no reason to say it at every turn.
      if (this.#refused !== version)
        log('info', 'anchor-refused', { count: Number(version), ...revertOf(outcome.refusal) });
      this.#refused = version;
      return false;
    }
    log('info', 'anchored', { count: Number(version) });
    return true;
  }

  async #isAnchored({ anchor: { identity, version } }: EnclaveAnchor): Promise<boolean> {
    const { registry } = this.#ports.network.gateway;
    return (await read(registry, 'anchorVersions', [hexOf(identity)])) >= version;
  }

  /** Undefined for what failed: said once, not at every turn. */
  async #told<T>(task: () => Promise<T>): Promise<T | undefined> {
    const { signal, log } = this.#ports;
    try {
      const result = await task();
      this.#isWell = true;
      return result;
    } catch (error) {
      if (this.#isWell && !signal.aborted) log('warn', 'anchor-delayed', { code: codeOf(error) });
      this.#isWell = false;
      return undefined;
    }
  }
}
