/** Who may sign requests to a local stand-in. */
export interface Credential {
  readonly accessKeyId: string;
  /** Secret. */
  readonly secretAccessKey: string;
  /** 12 digits: the account that the caller acts for. */
  readonly account: string;
  /** Temporary credentials: every request carries it. Secret. */
  readonly sessionToken?: string;
  /** Temporary credentials: refused from this time on, milliseconds of Unix time. */
  readonly expiresMs?: number;
}

/** Why a credential whose secret signed the request does not count; undefined: it counts. */
export function credentialFault(
  credential: Credential,
  sessionToken: string | undefined,
  nowMs: number,
): 'expired' | 'wrong-token' | undefined {
  if (credential.sessionToken !== sessionToken) return 'wrong-token';
  if (credential.expiresMs !== undefined && nowMs >= credential.expiresMs) return 'expired';
  return undefined;
}
