import type { Recipient } from './attested-recipient.ts';
import { authorize, isAllowed, isAllowedByIam, type Wish } from './authorization.ts';
import { type Context, keyNamedBy } from './ciphertext.ts';
import type { Fields } from './fields.ts';
import { parsePolicy } from './key-policy.ts';
import type { KeyStore, StoredKey } from './key-store.ts';
import type { Principal } from './principals.ts';
import { badCiphertext, ServiceError } from './service-error.ts';

/** A request whose signature has been verified. */
export interface Call {
  readonly principal: Principal;
  readonly fields: Fields;
  /** It came by TLS. */
  readonly isSecure: boolean;
}

/** Members of the answer; bytes as base64, times in seconds. */
export type Answer = Record<string, unknown>;
export type Operations = ReadonlyMap<string, (call: Call) => Promise<Answer>>;

/** What the key policy may ask about beside the caller. */
export interface Circumstances {
  readonly context?: Context;
  readonly recipient?: Recipient | undefined;
}

/** The keys of one region, and who may do what with them. */
export class KeyRing {
  readonly store: KeyStore;
  readonly nowMs: () => number;
  readonly #region: string;

  constructor(store: KeyStore, region: string, nowMs: () => number) {
    this.store = store;
    this.nowMs = nowMs;
    this.#region = region;
  }

  arn({ account, keyId }: Pick<StoredKey, 'account' | 'keyId'>): string {
    return `arn:aws:kms:${this.#region}:${account}:key/${keyId}`;
  }

  /** The key that the request names, if the caller may. @throws {ServiceError} */
  async permitted(call: Call, operation: string, circumstances: Circumstances = {}): Promise<StoredKey> {
    const key = await this.find(call.fields.text('KeyId'));
    this.require(call, key, operation, circumstances);
    return key;
  }

  require(call: Call, key: StoredKey, operation: string, circumstances: Circumstances = {}): void {
    authorize(key, this.arn(key), wishOf(call, operation, circumstances));
  }

  /** By id or ARN. A key whose time of deletion has come is deleted here. @throws {ServiceError} NotFoundException */
  async find(name: string): Promise<StoredKey> {
    const key = this.store.get(name.slice(name.lastIndexOf('/') + 1));
    if (key === undefined || (name !== key.keyId && name !== this.arn(key))) throw this.#unknown(name);
    if (key.deletionMs === undefined || key.deletionMs > this.nowMs()) return key;
    await this.store.destroy(key.keyId);
    throw this.#unknown(name);
  }

  /** The key of a ciphertext. @throws {ServiceError} if it is another than the request names */
  async ofCiphertext(blob: Uint8Array, name: string | undefined): Promise<StoredKey> {
    const key = await this.find(keyNamedBy(blob)).catch(() => {
      throw badCiphertext();
    });
    if (name !== undefined && (await this.find(name)).keyId !== key.keyId) {
      throw new ServiceError(
        'IncorrectKeyException',
        'The key ID in the request does not identify a CMK that can perform this operation.',
      );
    }
    return key;
  }

  requireEnabled(key: StoredKey): void {
    if (key.state === 'Disabled')
      throw new ServiceError('DisabledException', `${this.arn(key)} is disabled.`);
    if (key.state !== 'Enabled') throw this.invalidState(key);
  }

  invalidState(key: StoredKey): ServiceError {
    return new ServiceError('KMSInvalidStateException', `${this.arn(key)} is ${key.state}.`);
  }

  /** What concerns no key is for the account's IAM. @throws {ServiceError} */
  requireIam({ principal }: Call, operation: string): void {
    if (isAllowedByIam(principal, operation)) return;
    const text = `User: ${principal.arn} is not authorized to perform: kms:${operation} on resource: *`;
    throw new ServiceError('AccessDeniedException', text);
  }

  /**
   * The lockout safety check: the caller must be able to change the policy again, unless he says that he means it.
   * @throws {ServiceError} MalformedPolicyDocumentException
   */
  checkPolicy(call: Call, key: StoredKey, text: string): void {
    const policy = parsePolicy(text);
    if (call.fields.flag('BypassPolicyLockoutSafetyCheck')) return;
    if (isAllowed(key, policy, this.arn(key), wishOf(call, 'PutKeyPolicy', {}))) return;
    throw new ServiceError(
      'MalformedPolicyDocumentException',
      'The new key policy will not allow you to update the key policy in the future.',
    );
  }

  #unknown(name: string): ServiceError {
    return new ServiceError('NotFoundException', `Key '${name}' does not exist`);
  }
}

function wishOf(
  { principal, isSecure }: Call,
  operation: string,
  { context, recipient }: Circumstances,
): Wish {
  const attested = recipient?.conditions ?? new Map<string, readonly string[]>();
  return { principal, operation, isSecure, context: context ?? new Map(), attested };
}
