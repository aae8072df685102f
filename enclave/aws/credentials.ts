import { KmsError } from '../../shared/errors.ts';

/**
 * Credentials that the parent lends. They let AWS see who asks, and prove nothing to the enclave: which key, bucket and
 * account are meant comes from the configuration.
 */
export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  /** Unix time; absent for credentials without end. */
  readonly expiresMs?: number;
}

/** Asks the parent. @throws {KmsError} UNAVAILABLE */
export type CredentialProvider = () => Promise<AwsCredentials>;

/** Given up this long before they end: requests take time, and clocks differ. */
const MARGIN_MS = 60_000;

/** Holds the credentials of the last answer and asks again when they end or are refused. */
export class LentCredentials {
  readonly #provider: CredentialProvider;
  readonly #nowMs: () => number;
  #current: Promise<AwsCredentials> | undefined;

  /** @param nowMs Unix time; it only decides when to ask again */
  constructor(provider: CredentialProvider, nowMs: () => number = () => Date.now()) {
    this.#provider = provider;
    this.#nowMs = nowMs;
  }

  /** @throws {KmsError} UNAVAILABLE, BAD_INPUT for what are no credentials */
  async current(): Promise<AwsCredentials> {
    const held = this.#current;
    if (held !== undefined) {
      const credentials = await held.catch(() => undefined);
      if (credentials !== undefined && !this.#isEnding(credentials)) return credentials;
      if (this.#current === held) this.#current = undefined;
    }
    this.#current ??= this.#provider().then(checked);
    return this.#current;
  }

  /** AWS refused these: the next request asks the parent. Others that have replaced them stay. */
  async refuse(refused: AwsCredentials): Promise<void> {
    const held = this.#current;
    if ((await held?.catch(() => refused)) === refused && this.#current === held) this.#current = undefined;
  }

  #isEnding({ expiresMs }: AwsCredentials): boolean {
    return expiresMs !== undefined && expiresMs - MARGIN_MS <= this.#nowMs();
  }
}

function checked(credentials: AwsCredentials): AwsCredentials {
  const { accessKeyId, secretAccessKey, sessionToken = '', expiresMs = 0 } = credentials;
  const isGood =
    /^\w{16,128}$/.test(accessKeyId) &&
    /^[\w+/=-]{16,128}$/.test(secretAccessKey) &&
    /^[\w+/=-]{0,8192}$/.test(sessionToken) &&
    Number.isFinite(expiresMs);
  if (!isGood) throw new KmsError('BAD_INPUT', 'what the parent lends are no AWS credentials');
  return credentials;
}
