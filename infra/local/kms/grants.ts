import type { Context } from './ciphertext.ts';
import type { Fields } from './fields.ts';
import { invalid } from './service-error.ts';

/** Leave to use a key beside its policy. */
export interface Grant {
  readonly id: string;
  /** ARN */
  readonly grantee: string;
  readonly retiring: string | undefined;
  /** `Decrypt` and so on. */
  readonly operations: readonly string[];
  /** Entries that the encryption context must hold; with `exact` no others. */
  readonly constraint:
    | { readonly exact: boolean; readonly entries: readonly (readonly [string, string])[] }
    | undefined;
  readonly name: string | undefined;
  readonly createdMs: number;
}

const OPERATIONS = new Set([
  ...[
    'Decrypt',
    'Encrypt',
    'GenerateDataKey',
    'GenerateDataKeyWithoutPlaintext',
    'ReEncryptFrom',
    'ReEncryptTo',
  ],
  ...['CreateGrant', 'RetireGrant', 'DescribeKey'],
]);

export function readGrant(request: Fields, id: string, nowMs: number): Grant {
  const operations = request.texts('Operations');
  const unknown = operations.find((one) => !OPERATIONS.has(one));
  if (unknown !== undefined) throw invalid(`the operation ${unknown} cannot be granted here`);
  const constraints = request.nested('Constraints');
  const exact = constraints?.has('EncryptionContextEquals') ?? false;
  const entries = constraints?.context(exact ? 'EncryptionContextEquals' : 'EncryptionContextSubset');
  return {
    ...{ id, grantee: request.text('GranteePrincipal'), retiring: request.optionalText('RetiringPrincipal') },
    ...{ operations, name: request.optionalText('Name'), createdMs: nowMs },
    constraint: entries === undefined ? undefined : { exact, entries: [...entries] },
  };
}

/** @param operation without `kms:` */
export function isGranted(
  grants: readonly Grant[],
  arn: string,
  operation: string,
  context: Context,
): boolean {
  return grants.some(
    ({ grantee, operations, constraint }) =>
      grantee === arn && operations.includes(operation) && satisfies(constraint, context),
  );
}

function satisfies(constraint: Grant['constraint'], context: Context): boolean {
  if (constraint === undefined) return true;
  const { exact, entries } = constraint;
  return (
    entries.every(([name, value]) => context.get(name) === value) &&
    !(exact && context.size !== entries.length)
  );
}

export function describeGrant(grant: Grant, keyArn: string, issuer: string): Record<string, unknown> {
  const { id, grantee, retiring, operations, constraint, name, createdMs } = grant;
  const field = constraint?.exact === true ? 'EncryptionContextEquals' : 'EncryptionContextSubset';
  return {
    ...{
      GrantId: id,
      KeyId: keyArn,
      GranteePrincipal: grantee,
      RetiringPrincipal: retiring,
      Operations: operations,
    },
    ...{ Name: name ?? '', CreationDate: createdMs / 1000, IssuingAccount: issuer },
    ...(constraint === undefined ? {} : { Constraints: { [field]: Object.fromEntries(constraint.entries) } }),
  };
}
