import { openAwsCloud } from '../../enclave/aws/aws-cloud.ts';
import { boot } from '../../enclave/boot.ts';
import { bindToNetwork } from '../../enclave/nsm/network-binding.ts';
import { openMockPlatform } from '../../enclave/platform/mock.ts';
import { ENDPOINT_ROOTS } from '../../shared/attestation/roots/mock.ts';
import { foreignNsm, ownLink } from './foreign-image.ts';

/** A mock enclave of another image for which KMS has made an exception: what stops it is the other nodes. */
const link = await ownLink();
const { nsm } = openMockPlatform();

await boot({
  nsm: foreignNsm,
  async openCloud(place) {
    await bindToNetwork(nsm, place.networkId);
    return openAwsCloud({ link, nsm, roots: ENDPOINT_ROOTS }, place);
  },
});
