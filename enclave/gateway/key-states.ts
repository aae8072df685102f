import { KmsError } from '../../shared/errors.ts';
import { keyStates } from '../../shared/gateway/key-state.ts';
import type { KeyId } from '../../shared/ids.ts';
import type { SealedStore } from '../store/sealed-store.ts';

/**
 * In which state this node holds each key: what it carried out itself, which is never less strict than what it told the chain.
 * Durable before it is said.
 */
export class KeyStates {
  readonly #store: SealedStore;

  /** @param store tier 2 */
  constructor(store: SealedStore) {
    this.#store = store;
  }

  /** By KeyStates' numbers; a key that was never moved is pre-active. @throws {KmsError} STORE_FAILED */
  async of(key: KeyId): Promise<number> {
    const record = await this.#store.get(nameOf(key));
    if (record === undefined) return keyStates.preActivation;
    const [state] = record;
    if (
      record.length !== 1 ||
      state === undefined ||
      state < keyStates.active ||
      state > keyStates.destroyed
    ) {
      throw new KmsError('STORE_FAILED', `the state of key ${key} is damaged`);
    }
    return state;
  }

  /** @throws {KmsError} NOT_PERMITTED for a key that this node has destroyed, whatever the chain says; STORE_FAILED */
  async move(key: KeyId, state: number): Promise<void> {
    const before = await this.of(key);
    if (before === state) return;
    if (before === keyStates.destroyed) throw new KmsError('NOT_PERMITTED', `key ${key} is destroyed here`);
    await this.#store.put(nameOf(key), Uint8Array.of(state));
  }
}

/** Sealed with the key's other records, and erased with them. */
function nameOf(key: KeyId): string {
  return `keys/${key}/lifecycle`;
}
