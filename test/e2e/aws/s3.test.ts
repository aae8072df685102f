/**
 * One suite for everything that calls itself S3, with the unmodified SDK:
 * - the local stand-in (infra/local/s3), over HTTP and over TLS;
 * - moto_server >= 5.2, if it is on the PATH;
 * - AWS itself, or another service, if KMS_S3_BUCKET is set:
 *     KMS_S3_BUCKET            a bucket without versioning
 *     KMS_S3_VERSIONED_BUCKET  a bucket with versioning
 *     KMS_S3_ACCOUNT           12 digits: the account that owns both
 *     KMS_S3_REGION            of both
 *     KMS_S3_ENDPOINT          optional: another one than AWS's
 *   and credentials where the SDK looks for them (AWS_ACCESS_KEY_ID, AWS_PROFILE, ...). Objects are written below
 *   conformance/ and removed at the end.
 */
import { randomBytes } from 'node:crypto';
import type { S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { s3Cases } from './s3-conformance.ts';
import {
  awsMissing,
  awsTarget,
  localProcessTarget,
  localTarget,
  motoMissing,
  motoTarget,
  type RunningTarget,
} from './s3-targets.ts';
import { S3Use } from './s3-use.ts';

const RUN = randomBytes(4).toString('hex');

function suite(name: string, start: () => Promise<RunningTarget>, without?: string): void {
  if (without !== undefined) process.stderr.write(`S3 conformance: ${name} is not asked: ${without}\n`);
  describe.skipIf(without !== undefined)(
    without === undefined ? name : `${name} (skipped: ${without})`,
    () => {
      let running: RunningTarget;
      let client: S3Client;
      beforeAll(async () => {
        running = await start();
        client = running.target.client();
      });
      afterAll(async () => {
        client?.destroy();
        await running?.stop();
      });
      for (const one of s3Cases) {
        const reason = one.not?.[name];
        it.skipIf(reason !== undefined)(
          `${name}: ${one.name}${reason === undefined ? '' : ` (${reason})`}`,
          () => one.run(new S3Use(running.target, client, RUN)),
        );
      }
    },
  );
}

suite('stand-in', localTarget);
suite('stand-in process', localProcessTarget);
suite('moto', motoTarget, await motoMissing());
suite('aws', () => awsTarget(RUN), awsMissing());
