import { configurationSlot } from '../../shared/gateway/slots.ts';
import { word } from '../../shared/gateway/word.ts';
import { type Digest, digest } from '../../shared/ids.ts';
import type { GatewayAnchor } from '../../shared/network/genesis.ts';
import { fromHex, toHex } from '../../shared/wire/bytes.ts';
import type { AgreedChain } from './agreed-chain.ts';

/** The registry that genesis names, as the gateway chain proves it at the newest block that is agreed on. */
export class GatewayRegistry {
  readonly #chain: Pick<AgreedChain, 'prove'>;
  readonly #gateway: GatewayAnchor;

  constructor(chain: Pick<AgreedChain, 'prove'>, gateway: GatewayAnchor) {
    [this.#chain, this.#gateway] = [chain, gateway];
  }

  /**
   * Words of its storage, all of one block.
   * @param slots 32 bytes each
   * @throws {KmsError} NOT_PROVEN for another contract than genesis'; as AgreedChain.prove()
   */
  async words(slots: readonly Uint8Array[]): Promise<readonly bigint[]> {
    const { registry: address, registryCodeHash } = this.#gateway;
    const proven = await this.#chain.prove({ address, slots });
    return slots.map((slot) => proven.word(address, fromHex(registryCodeHash), slot));
  }

  /** Which configuration operators have published under a number; undefined: none. @throws {KmsError} as words() */
  async configuration(number: number): Promise<Digest | undefined> {
    const [published = 0n] = await this.words([configurationSlot(BigInt(number))]);
    return published === 0n ? undefined : digest(toHex(word(published)));
  }
}
