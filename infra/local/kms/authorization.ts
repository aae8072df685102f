import type { Context } from './ciphertext.ts';
import { like, type RequestContext } from './conditions.ts';
import { isGranted } from './grants.ts';
import { evaluate, type Policy, parsePolicy } from './key-policy.ts';
import type { StoredKey } from './key-store.ts';
import { accountOf, type Principal } from './principals.ts';
import { ServiceError } from './service-error.ts';

/** Somebody's wish to do something with a key. */
export interface Wish {
  readonly principal: Principal;
  /** `Decrypt`; policies call it `kms:Decrypt`. */
  readonly operation: string;
  readonly context: Context;
  /** What an attestation document adds. */
  readonly attested: RequestContext;
  readonly isSecure: boolean;
}

/** Key policy first, then grants, then the account's IAM where the policy leaves it to the account; a Deny ends it. */
export function authorize(key: StoredKey, arn: string, wish: Wish): void {
  if (isAllowed(key, parsePolicy(key.policy), arn, wish)) return;
  const { principal, operation } = wish;
  throw new ServiceError(
    'AccessDeniedException',
    `User: ${principal.arn} is not authorized to perform: kms:${operation} on resource: ${arn}`,
  );
}

export function isAllowed(key: StoredKey, policy: Policy, arn: string, wish: Wish): boolean {
  const { principal, operation, context } = wish;
  const question = { principal, action: `kms:${operation}`, resource: arn, context: requestContext(wish) };
  switch (evaluate(policy, question)) {
    case 'deny':
      return false;
    case 'allow':
      return true;
    case 'account':
      if (isAllowedByIam(principal, operation)) return true;
  }
  return isGranted(key.grants, principal.arn, operation, context);
}

/** For what concerns no key, and where a key policy leaves it to the account. Its root may do everything. */
export function isAllowedByIam({ arn, iamActions = [] }: Principal, operation: string): boolean {
  const patterns = arn.endsWith(':root') ? ['kms:*'] : iamActions;
  return patterns.some((pattern) => like(`kms:${operation}`.toLowerCase(), pattern.toLowerCase()));
}

function requestContext({ principal, context, attested, isSecure }: Wish): RequestContext {
  const entries: [string, readonly string[]][] = [
    ['aws:principalarn', [principal.arn]],
    ['aws:principalaccount', [accountOf(principal.arn)]],
    ['aws:securetransport', [String(isSecure)]],
    ['kms:calleraccount', [accountOf(principal.arn)]],
    ['kms:keyorigin', ['AWS_KMS']],
    ['kms:keyspec', ['SYMMETRIC_DEFAULT']],
    ['kms:keyusage', ['ENCRYPT_DECRYPT']],
    ['kms:multiregion', ['false']],
  ];
  for (const [name, value] of context) entries.push([`kms:encryptioncontext:${name.toLowerCase()}`, [value]]);
  if (context.size > 0) entries.push(['kms:encryptioncontextkeys', [...context.keys()]]);
  return new Map([...entries, ...attested]);
}
