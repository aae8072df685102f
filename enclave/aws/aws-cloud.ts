import type { Duplex } from 'node:stream';
import { codeOf, KmsError } from '../../shared/errors.ts';
import type { Link } from '../../shared/link.ts';
import type { Measurement } from '../../shared/network/measurement.ts';
import { parseKeyArn } from '../../shared/sealing/key-arn.ts';
import { type PolicyRegisters, policyRegistersOf } from '../../shared/sealing/kms-policy.ts';
import type { PolicyExpectation } from '../../shared/sealing/policy-inspection.ts';
import type { CloudPlace } from '../node-parts.ts';
import type { Nsm } from '../nsm/nsm.ts';
import { askCredentials } from '../parent-services.ts';
import type { Cloud, DataKeys, SuccessorKeys } from '../sealing/cloud.ts';
import type { Patience } from './attempts.ts';
import { type AttestedKms, type EncryptionContext, openAttestedKms } from './attested-kms.ts';
import { throughParent } from './egress.ts';
import type { RecipientKey } from './recipient-key.ts';
import { S3Objects } from './s3-objects.ts';

export interface AwsCloudParts {
  readonly link: Link<Duplex>;
  readonly nsm: Nsm;
  /** DER: `ENDPOINT_ROOTS` of `#roots`. */
  readonly roots: readonly Uint8Array[];
  /** Of this process, made while it starts: on a slow machine that takes seconds. Default: one for each key of KMS. */
  readonly recipientKey?: Promise<RecipientKey>;
  /** Of one attempt at either service; default: what suits it. */
  readonly attemptMs?: number | undefined;
}

const ATTEMPTS = 4;
/** Those that a key policy may state. */
const POLICY_PCRS = [0, 3, 8, 16];

/**
 * KMS and S3 of the account that the configuration names, through the parent, TLS ending here. The key is inspected before
 * anything is sealed under it or opened with it.
 * @throws {KmsError} KMS_POLICY, KMS_REFUSED, KMS_UNAVAILABLE, UNAVAILABLE
 */
export async function openAwsCloud(parts: AwsCloudParts, place: CloudPlace): Promise<Cloud> {
  const { link, roots } = parts;
  const { storage, networkId, party } = place;
  const { arn: kmsKey, region, account } = parseKeyArn(storage.kmsKey);
  const kms = await openKms(parts, place);
  const expected = { role: storage.role, registers: await ownRegisters(parts.nsm) };
  await kms.inspectPolicy(expected);
  const objects = new S3Objects({
    ...{ region, account, bucket: storage.bucket, roots, connect: throughParent(link) },
    ...{ credentials: () => askCredentials(link), prefix: `${networkId}/${party}/` },
    ...patienceOf(parts),
  });
  return { kmsKey, objects, dataKeys: dataKeysOf(kms, kmsKey, place, expected) };
}

/**
 * The KMS key that a later configuration names, whose policy lets in one of that configuration's images and nobody else.
 * @param measurements that the later configuration allows
 * @throws {KmsError} KMS_POLICY, KMS_REFUSED, KMS_UNAVAILABLE
 */
export async function openAwsSuccessor(
  parts: AwsCloudParts,
  place: CloudPlace,
  measurements: readonly Measurement[],
): Promise<SuccessorKeys> {
  const { storage } = place;
  const kms = await openKms(parts, place);
  const own = await ownRegisters(parts.nsm);
  let failure: unknown = new KmsError('KMS_POLICY', 'the configuration allows no image');
  for (const { pcr0, pcr8 } of measurements) {
    const { pcr3, pcr16 } = own;
    const registers: PolicyRegisters = {
      ...{ pcr0, pcr16 },
      ...(pcr3 === undefined ? {} : { pcr3 }),
      ...(pcr8 === undefined ? {} : { pcr8 }),
    };
    const expected = { role: storage.role, registers };
    try {
      await kms.inspectPolicy(expected);
      return { kmsKey: storage.kmsKey, wrap: dataKeysOf(kms, storage.kmsKey, place, expected).wrap };
    } catch (error) {
      if (codeOf(error) !== 'KMS_POLICY') throw error;
      failure = error;
    }
  }
  throw failure;
}

function openKms(parts: AwsCloudParts, { storage }: CloudPlace): Promise<AttestedKms> {
  const { link, nsm, roots, recipientKey } = parts;
  const key = parseKeyArn(storage.kmsKey);
  const credentials = (): ReturnType<typeof askCredentials> => askCredentials(link);
  const reach = { credentials, connect: throughParent(link), roots, ...patienceOf(parts) };
  return openAttestedKms({ key, nsm, ...reach }, recipientKey);
}

function patienceOf({ attemptMs }: AwsCloudParts): { readonly patience?: Patience } {
  return attemptMs === undefined ? {} : { patience: { attemptMs, totalMs: ATTEMPTS * attemptMs } };
}

async function ownRegisters(nsm: Nsm): Promise<PolicyRegisters> {
  const pcrs = new Map<number, Uint8Array>();
  for (const index of POLICY_PCRS) pcrs.set(index, (await nsm.describePcr(index)).value);
  return policyRegistersOf(pcrs);
}

function dataKeysOf(
  kms: AttestedKms,
  kmsKey: string,
  { networkId, party }: CloudPlace,
  expected: PolicyExpectation,
): DataKeys {
  const context = (purpose: string): EncryptionContext => ({ networkId, party: String(party), purpose });
  return {
    async generate(purpose) {
      // The policy may have been another one since this process began.
      await kms.inspectPolicy(expected);
      const { plaintext, blob } = await kms.generateDataKey(context(purpose));
      return { plaintext, blobs: [{ kmsKey, blob }] };
    },

    async wrap(plaintext, purpose) {
      await kms.inspectPolicy(expected);
      return { kmsKey, blob: await kms.encrypt(plaintext, context(purpose)) };
    },

    async open(blobs, purpose) {
      const own = blobs.find((one) => one.kmsKey === kmsKey);
      if (own === undefined) {
        throw new KmsError(
          'STORE_FAILED',
          'the bucket was not sealed under the KMS key that the configuration names',
        );
      }
      return kms.decrypt(own.blob, context(purpose));
    },
  };
}
