import { openAttestedKms } from '../../enclave/aws/attested-kms.ts';
import { throughParent } from '../../enclave/aws/egress.ts';
import { S3Objects } from '../../enclave/aws/s3-objects.ts';
import { boot } from '../../enclave/boot.ts';
import { askCredentials } from '../../enclave/parent-services.ts';
import { ENDPOINT_ROOTS } from '../../shared/attestation/roots/mock.ts';
import { parseKeyArn } from '../../shared/sealing/key-arn.ts';
import { foreignNsm, ownLink } from './foreign-image.ts';

/**
 * A mock enclave of another image. It looks at no policy, as an image of an attacker's making would not: what stops it is KMS,
 * and the other nodes.
 */
const link = await ownLink();

await boot({
  nsm: foreignNsm,
  async openCloud({ storage, networkId, party }) {
    const key = parseKeyArn(storage.kmsKey);
    const credentials = () => askCredentials(link);
    const reach = { credentials, connect: throughParent(link), roots: ENDPOINT_ROOTS };
    const kms = await openAttestedKms({ key, nsm: foreignNsm, ...reach });
    const context = (purpose: string) => ({ networkId, party: String(party), purpose });
    return {
      kmsKey: key.arn,
      objects: new S3Objects({
        ...{ region: key.region, account: key.account, bucket: storage.bucket, ...reach },
        prefix: `${networkId}/${party}/`,
      }),
      dataKeys: {
        async generate(purpose) {
          const { plaintext, blob } = await kms.generateDataKey(context(purpose));
          return { plaintext, blobs: [{ kmsKey: key.arn, blob }] };
        },
        wrap: async (plaintext, purpose) => ({
          kmsKey: key.arn,
          blob: await kms.encrypt(plaintext, context(purpose)),
        }),
        open: async (blobs, purpose) => kms.decrypt(blobs[0]!.blob, context(purpose)),
      },
    };
  },
});
