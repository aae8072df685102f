import type { OpenedValue } from '../../enclave/decryption-desk.ts';
import type { Work } from '../../enclave/member.ts';
import type { Service } from '../../enclave/membership/phases.ts';
import { nodePrimitives } from '../../enclave/primitives.ts';
import { KmsError } from '../../shared/errors.ts';
import { openEnvelope } from '../../shared/fhe/envelope.ts';
import { digest, type KeyId } from '../../shared/ids.ts';
import { toHex } from '../../shared/wire/bytes.ts';

/** KEY-EXPOSING (proto/kms/direct/v1/direct.proto): a node's work, done for whoever asks, as far as its phase serves it. */
export class DirectWork {
  readonly #serving: (service: Service) => Work;

  constructor(serving: (service: Service) => Work) {
    this.#serving = serving;
  }

  /** @param requestId 32 bytes, the same at all nodes */
  async generateKey(requestId: Uint8Array, preset: string, signal: AbortSignal): Promise<KeyId> {
    const asked = { request: digest(toHex(requestId)), preset, galois: 'none' } as const;
    for await (const step of this.#serving('generate-key').ceremonies.generate(asked, signal)) {
      if (step.kind === 'finished') return step.keyId;
    }
    throw new KmsError('UNAVAILABLE', 'the caller has gone');
  }

  async decrypt(envelope: Uint8Array, signal: AbortSignal): Promise<OpenedValue> {
    return this.#serving('decrypt').desk.open(openEnvelope(envelope, nodePrimitives), signal);
  }

  /** @param requestId 32 bytes, the same at all nodes @param userKey X-Wing public key */
  async userDecrypt(requestId: Uint8Array, envelope: Uint8Array, userKey: Uint8Array): Promise<Uint8Array> {
    const { desk } = this.#serving('user-decrypt');
    return desk.seal(openEnvelope(envelope, nodePrimitives), requestId, userKey);
  }
}
