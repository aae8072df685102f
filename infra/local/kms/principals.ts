import { timingSafeEqual } from 'node:crypto';
import { ServiceError } from './service-error.ts';

/** Somebody who may sign requests. The secrets are of this machine only. */
export interface Principal {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Temporary credentials have one, and an end. */
  readonly sessionToken?: string;
  readonly expiresMs?: number;
  /** `arn:aws:iam::<account>:role/<name>`, a user, or the account's root. */
  readonly arn: string;
  /** What IAM policies of the account allow it, with wildcards: counts where a key policy leaves it to the account. */
  readonly iamActions?: readonly string[];
}

export function accountOf(arn: string): string {
  return arn.split(':')[4] ?? '';
}

/** Those who may sign, by access key; tests change it while the service runs. */
export class Principals {
  readonly #byKey = new Map<string, Principal>();

  constructor(principals: readonly Principal[]) {
    for (const principal of principals) this.add(principal);
  }

  add(principal: Principal): void {
    this.#byKey.set(principal.accessKeyId, principal);
  }

  secretOf(accessKeyId: string): string | undefined {
    return this.#byKey.get(accessKeyId)?.secretAccessKey;
  }

  /** Whose signature was verified. @throws {ServiceError} for another session token or one that has ended */
  bySignature(accessKeyId: string, sessionToken: string | undefined, nowMs: number): Principal {
    const principal = this.#byKey.get(accessKeyId);
    const unknown = new ServiceError(
      'UnrecognizedClientException',
      'The security token in the request is invalid.',
    );
    if (principal === undefined) throw unknown;
    if (!sameText(principal.sessionToken ?? '', sessionToken ?? '')) throw unknown;
    if (principal.expiresMs !== undefined && principal.expiresMs <= nowMs) {
      throw new ServiceError(
        'ExpiredTokenException',
        'The security token included in the request is expired',
      );
    }
    return principal;
  }
}

function sameText(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
