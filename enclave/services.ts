import { KmsError } from '../shared/errors.ts';
import type { Permission } from '../shared/gateway/policy/claim.ts';
import type { KeyId } from '../shared/ids.ts';
import type { NodeApi } from './api.ts';
import type { SignedAnchor } from './gateway/anchor-desk.ts';
import type { BatchRequest } from './gateway/batch-desk.ts';
import type { CommandProgress, CommandRequest } from './gateway/command-desk.ts';
import type { GatewayAnswer, GatewayRequest } from './gateway/gateway-desk.ts';
import type { GatewayWork } from './gateway/gateway-work.ts';
import type { PartyWord } from './gateway/signature-pool.ts';
import type { Work } from './member.ts';
import type { Service } from './membership/phases.ts';

/**
 * What a node does for clients, as far as its phase serves it: asked before the work, and again before an answer leaves.
 */
export class Services implements Omit<NodeApi, 'describe' | 'join'> {
  readonly #serving: (service: Service) => Work;

  /** @param serving throws UNAVAILABLE or CONFLICT if the phase does not serve this */
  constructor(serving: (service: Service) => Work) {
    this.#serving = serving;
  }

  async listKeys(): Promise<readonly KeyId[]> {
    return this.#serving('read-keys').keys.ids;
  }

  async getKey(key: KeyId): Promise<Uint8Array> {
    return this.#serving('read-keys').keys.certified(key);
  }

  async answer(request: GatewayRequest, signal: AbortSignal): Promise<GatewayAnswer> {
    const { answers } = this.#gateway('decrypt');
    // Users' permits expire by a clock that may be degraded.
    const required = (kind: Permission['kind']): void => {
      this.#serving(kind === 'user' ? 'user-decrypt' : 'decrypt');
    };
    return answers.answer(request, required, signal);
  }

  async signBatch(request: BatchRequest, signal: AbortSignal): Promise<readonly PartyWord[]> {
    const words = await this.#gateway('decrypt').batches.sign(request, signal);
    this.#serving('decrypt');
    return words;
  }

  async signAnchor(): Promise<SignedAnchor> {
    return this.#gateway('anchor').anchor.sign();
  }

  async *carryOut(request: CommandRequest, signal: AbortSignal): AsyncIterable<CommandProgress> {
    for await (const step of this.#gateway('generate-key').commands.carryOut(request, signal)) {
      this.#serving('generate-key');
      yield step;
    }
  }

  #gateway(service: Service): GatewayWork {
    const { gateway } = this.#serving(service);
    if (gateway === undefined) throw new KmsError('BAD_INPUT', 'this network has no gateway');
    return gateway;
  }
}
