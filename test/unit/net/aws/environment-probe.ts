import { connect } from 'node:net';
import { DescribeKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { AUTH_SCHEMES, CLIENT_SETTINGS } from '../../../../enclave/aws/client-settings.ts';
import { endpointHandler } from '../../../../enclave/aws/endpoint.ts';
import { ENDPOINT_ROOTS } from '../../../../shared/attestation/roots/mock.ts';
import { codeOf } from '../../../../shared/errors.ts';

/** A process of its own, which the test starts in a hostile environment. Prints where it went and what came of it. */
const [port = '', region = ''] = process.argv.slice(2);
const host = `kms.${region}.amazonaws.com`;
const reached: string[] = [];
const client = new KMSClient({
  ...CLIENT_SETTINGS,
  authSchemePreference: [...AUTH_SCHEMES],
  region,
  endpoint: `https://${host}`,
  credentials: { accessKeyId: 'AKIDEXAMPLEEXAMPLE', secretAccessKey: 'x'.repeat(40) },
  requestHandler: endpointHandler({
    ...{ hosts: [host], roots: ENDPOINT_ROOTS, maxAnswerBytes: 10_000 },
    connect: async (to) => {
      reached.push(to);
      return connect(Number(port), '127.0.0.1').on('error', () => {});
    },
  }),
});

const outcome = await client.send(new DescribeKeyCommand({ KeyId: 'x' })).then(
  () => 'answered',
  (error: Error) => (codeOf(error) === 'INTERNAL' ? error.name : codeOf(error)),
);
process.stdout.write(JSON.stringify({ reached, outcome }));
process.exit(0);
