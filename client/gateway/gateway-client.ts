import type { Hex } from '../../gateway/adapter/chain-data.ts';
import type { Rng } from '../../shared/primitives.ts';
import type { KmsClient } from '../sdk/kms-client.ts';
import type { NetworkKey } from '../sdk/network-key.ts';
import { type Published, publishConfigurations } from './configurations.ts';
import { type EndpointOf, type GatewayContext, openContext } from './context.ts';
import type { Decryption } from './decryption.ts';
import type { GatewayPlaces } from './gateway-file.ts';
import {
  type Acting,
  allow,
  bringInput,
  type Computation,
  compute,
  type InputPurpose,
  type PreparedInput,
  prepareInput,
  publish,
} from './handles.ts';
import { generateKey, type KeyWanted } from './key-generation.ts';
import { decryptPublicly } from './public-decryption.ts';
import { type TransferActing, transfer } from './transfer.ts';
import { decryptForUser, type UserActing } from './user-decryption.ts';
import type { Waiting } from './waiting.ts';
import type { Wallet } from './wallet.ts';

export interface GatewayClientOptions extends Partial<Waiting> {
  /** Of the same network; stays the caller's to dispose of. */
  readonly kms: KmsClient;
  readonly places: GatewayPlaces;
  readonly endpointOf?: EndpointOf;
  /** Secure randomness; default: the platform's. */
  readonly rng?: Rng;
}

const TIMEOUT_MS = 120_000;
const POLL_MS = 100;

/**
 * A network with a gateway, for operators and application developers: everything is a transaction that its contracts order, and the
 * answer is verified here. What is asked for goes on when this process ends.
 */
export class GatewayClient {
  readonly #context: GatewayContext;
  readonly #rng: Rng;

  private constructor(context: GatewayContext, rng: Rng) {
    [this.#context, this.#rng] = [context, rng];
  }

  /** @throws {KmsError} as openContext() */
  static async connect(options: GatewayClientOptions): Promise<GatewayClient> {
    const { kms, places, endpointOf, rng = platformRng } = options;
    const { timeoutMs = TIMEOUT_MS, pollMs = POLL_MS, onProgress = () => {}, signal } = options;
    const waiting = { timeoutMs, pollMs, onProgress, signal };
    return new GatewayClient(await openContext(kms, places, waiting, endpointOf), rng);
  }

  /** @see generateKey */
  generateKey(wanted: KeyWanted): Promise<NetworkKey> {
    return generateKey(this.#context, wanted);
  }

  /** @see publishConfigurations */
  publishConfigurations(operators: readonly Wallet[]): Promise<readonly Published[]> {
    return publishConfigurations(this.#context, operators);
  }

  /** For an application's contract, which calls Compute. @see prepareInput */
  prepareInput(envelope: Uint8Array, purpose: InputPurpose): Promise<PreparedInput> {
    return prepareInput(this.#context, envelope, purpose);
  }

  /** @returns the handle @see bringInput */
  input(envelope: Uint8Array, by: Acting & { readonly submitter: Wallet }): Promise<Hex> {
    return bringInput(this.#context, envelope, by);
  }

  /** @returns the result's handle @see compute */
  compute(computation: Computation, by: Acting): Promise<Hex> {
    return compute(this.#context, computation, by);
  }

  /** @param whom may use it from then on */
  allow(handle: Hex, whom: Hex, by: Acting): Promise<void> {
    return allow(this.#context, handle, whom, by);
  }

  publish(handle: Hex, by: Acting): Promise<void> {
    return publish(this.#context, handle, by);
  }

  /** @see transfer */
  transfer(handle: Hex, by: TransferActing): Promise<void> {
    return transfer(this.#context, handle, by);
  }

  /** @see decryptPublicly */
  decrypt(handle: Hex, by: Acting): Promise<Decryption> {
    return decryptPublicly(this.#context, handle, by);
  }

  /** @see decryptForUser */
  userDecrypt(handle: Hex, by: UserActing): Promise<Decryption> {
    return decryptForUser(this.#context, handle, by, this.#rng);
  }
}

function platformRng(sizeBytes: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(sizeBytes));
}
