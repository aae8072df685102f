import type { Duplex } from 'node:stream';
import { egressLine } from '../../shared/egress.ts';
import { KmsError } from '../../shared/errors.ts';
import type { Link } from '../../shared/link.ts';
import { parseKeyArn } from '../../shared/sealing/key-arn.ts';
import { policyRegistersOf } from '../../shared/sealing/kms-policy.ts';
import type { CloudPlace } from '../node-parts.ts';
import type { Nsm } from '../nsm/nsm.ts';
import { askCredentials } from '../parent-services.ts';
import type { Cloud, DataKeys } from '../sealing/cloud.ts';
import { type AttestedKms, type EncryptionContext, openAttestedKms } from './attested-kms.ts';
import { S3Objects } from './s3-objects.ts';

export interface AwsCloudParts {
  readonly link: Link<Duplex>;
  readonly nsm: Nsm;
  /** DER: `ENDPOINT_ROOTS` of `#roots`. */
  readonly roots: readonly Uint8Array[];
  /** Of one attempt at either service; default: what suits it. */
  readonly attemptMs?: number | undefined;
}

const HTTPS_PORT = 443;
const ATTEMPTS = 4;
/** Those that a key policy may state. */
const POLICY_PCRS = [0, 3, 8, 16];

/**
 * KMS and S3 of the account that the configuration names, through the parent, TLS ending here. The key is inspected before
 * anything is sealed under it or opened with it.
 * @throws {KmsError} KMS_POLICY, KMS_REFUSED, KMS_UNAVAILABLE, UNAVAILABLE
 */
export async function openAwsCloud(
  { link, nsm, roots, attemptMs }: AwsCloudParts,
  { storage, networkId, party }: CloudPlace,
): Promise<Cloud> {
  const key = parseKeyArn(storage.kmsKey);
  const connect = async (host: string): Promise<Duplex> => {
    const stream = await link.connect('egress');
    stream.write(egressLine(`${host}:${HTTPS_PORT}`));
    return stream;
  };
  const patience = attemptMs === undefined ? {} : { patience: { attemptMs, totalMs: ATTEMPTS * attemptMs } };
  const credentials = (): ReturnType<typeof askCredentials> => askCredentials(link);
  const kms = await openAttestedKms({ key, nsm, credentials, connect, roots, ...patience });
  const pcrs = new Map<number, Uint8Array>();
  for (const index of POLICY_PCRS) pcrs.set(index, (await nsm.describePcr(index)).value);
  const expected = { role: storage.role, registers: policyRegistersOf(pcrs) };
  await kms.inspectPolicy(expected);
  const objects = new S3Objects({
    ...{ region: key.region, account: key.account, bucket: storage.bucket, credentials, connect, roots },
    prefix: `${networkId}/${party}/`,
    ...patience,
  });
  const context = (purpose: string): EncryptionContext => ({ networkId, party: String(party), purpose });
  return { objects, dataKeys: dataKeysOf(kms, key.arn, context, () => kms.inspectPolicy(expected)) };
}

function dataKeysOf(
  kms: AttestedKms,
  kmsKey: string,
  context: (purpose: string) => EncryptionContext,
  inspect: () => Promise<void>,
): DataKeys {
  return {
    async generate(purpose) {
      // The policy may have been another one since this process began.
      await inspect();
      const { plaintext, blob } = await kms.generateDataKey(context(purpose));
      return { plaintext, blobs: [{ kmsKey, blob }] };
    },

    async open(blobs, purpose) {
      const own = blobs.find((one) => one.kmsKey === kmsKey);
      if (own === undefined) {
        throw new KmsError(
          'STORE_FAILED',
          'the bucket was sealed under another KMS key than the configuration names',
        );
      }
      return kms.decrypt(own.blob, context(purpose));
    },
  };
}
