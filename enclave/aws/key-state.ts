import type { KeyMetadata } from '@aws-sdk/client-kms';
import { KmsError } from '../../shared/errors.ts';
import type { KeyArn } from '../../shared/sealing/key-arn.ts';

/**
 * The key is the configured one, made and held by KMS alone, in one region, symmetric, and in use.
 * @throws {KmsError} KMS_POLICY, naming what is wrong
 */
export function checkKeyState(metadata: KeyMetadata | undefined, key: KeyArn): void {
  const must: readonly (readonly [string, boolean])[] = [
    ['another ARN', metadata?.Arn === key.arn],
    ['another id', metadata?.KeyId === key.keyId],
    ['another account', metadata?.AWSAccountId === key.account],
    ['a manager that is not its customer', metadata?.KeyManager === 'CUSTOMER'],
    ['a state that is not Enabled', metadata?.KeyState === 'Enabled' && metadata.Enabled === true],
    ['a date of deletion', metadata?.DeletionDate === undefined],
    ['another specification', metadata?.KeySpec === 'SYMMETRIC_DEFAULT'],
    ['another usage', metadata?.KeyUsage === 'ENCRYPT_DECRYPT'],
    // Imported material is known to whoever imported it.
    ['material from elsewhere', metadata?.Origin === 'AWS_KMS' && metadata.ExpirationModel === undefined],
    ['copies in other regions', metadata?.MultiRegion === false],
    [
      'a key store of somebody',
      metadata?.CustomKeyStoreId === undefined && metadata?.XksKeyConfiguration === undefined,
    ],
  ];
  const [wrong] = must.find(([, isMet]) => !isMet) ?? [];
  if (wrong !== undefined) throw new KmsError('KMS_POLICY', `the key ${key.arn} has ${wrong}`);
}
