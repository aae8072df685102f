import { KmsError } from '../shared/errors.ts';
import type { Permission } from '../shared/gateway/policy/claim.ts';
import { digest, type KeyId } from '../shared/ids.ts';
import { toHex } from '../shared/wire/bytes.ts';
import type { DecryptionRequest, KeyProgress, KeyRequest, NodeApi, UserDecryptionRequest } from './api.ts';
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

  async *generateKey(request: KeyRequest, signal: AbortSignal): AsyncIterable<KeyProgress> {
    const { requestId, preset, galois } = request;
    const asked = { request: digest(toHex(requestId)), preset, galois };
    yield* this.#direct('generate-key').ceremonies.generate(asked, signal);
  }

  async listKeys(): Promise<readonly KeyId[]> {
    return this.#serving('read-keys').keys.ids;
  }

  async getKey(key: KeyId): Promise<Uint8Array> {
    return this.#serving('read-keys').keys.certified(key);
  }

  async decrypt(request: DecryptionRequest, signal: AbortSignal): Promise<Uint8Array> {
    const answer = await this.#direct('decrypt').desk.decrypt(request, signal);
    this.#serving('decrypt');
    return answer;
  }

  async userDecrypt(request: UserDecryptionRequest): Promise<Uint8Array> {
    const answer = await this.#direct('user-decrypt').desk.userDecrypt(request);
    this.#serving('user-decrypt');
    return answer;
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

  async *carryOut(request: CommandRequest, signal: AbortSignal): AsyncIterable<CommandProgress> {
    for await (const step of this.#gateway('generate-key').commands.carryOut(request, signal)) {
      this.#serving('generate-key');
      yield step;
    }
  }

  /** What nobody but the caller asked for: served in networks without a gateway only. */
  #direct(service: Service): Work {
    const work = this.#serving(service);
    if (work.gateway !== undefined) {
      throw new KmsError('NOT_PERMITTED', "this network's gateway orders every operation; ask there");
    }
    return work;
  }

  #gateway(service: Service): GatewayWork {
    const { gateway } = this.#serving(service);
    if (gateway === undefined) throw new KmsError('BAD_INPUT', 'this network has no gateway');
    return gateway;
  }
}
