import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { expect, it } from 'vitest';
import { openAttestedKms } from '../../../../enclave/aws/attested-kms.ts';
import { throughParent } from '../../../../enclave/aws/egress.ts';
import { UnixLink } from '../../../../enclave/link/unix.ts';
import { readEgressLine } from '../../../../shared/egress.ts';
import { kmsHost } from '../../../../shared/sealing/key-arn.ts';
import { CONTEXT, KmsLab, REGION } from '../../../simulator/kms.ts';

it('egress: requests to KMS go through the parent, by the name of the endpoint', async () => {
  await using lab = await KmsLab.start();
  const directory = mkdtempSync(join(tmpdir(), 'kms-egress-'));
  const asked: string[] = [];
  /** A parent that sends the endpoint's name to the stand-in. */
  const relay = (stream: Duplex): void => {
    let received: Uint8Array = new Uint8Array();
    const read = (chunk: Buffer): void => {
      received = Buffer.concat([received, chunk]);
      const line = readEgressLine(received);
      if (line === undefined) return;
      asked.push(line.text);
      stream.off('data', read).pause();
      const onward = connect(lab.server.port, '127.0.0.1').on('error', () => stream.destroy());
      onward.write(line.rest);
      stream.on('error', () => onward.destroy());
      stream.pipe(onward).pipe(stream);
    };
    stream.on('data', read);
  };
  const link = new UnixLink(directory);
  const listener = await link.listen('egress', relay);
  const key = await lab.createKey();
  const kms = await openAttestedKms(lab.options(key, { connect: throughParent(link) }));
  await kms.inspectPolicy(await lab.expectation());
  const { plaintext, blob } = await kms.generateDataKey(CONTEXT);
  expect(await kms.decrypt(blob, CONTEXT)).toEqual(plaintext);
  // Connections are kept: as many as there were requests at once.
  expect(new Set(asked)).toEqual(new Set([`${kmsHost(REGION)}:443`]));
  expect(asked.length).toBeLessThanOrEqual(3);
  kms.close();
  await listener.close();
  rmSync(directory, { recursive: true, force: true });
});

it('egress: without a parent nothing is reached, and that is said', async () => {
  await using lab = await KmsLab.start();
  const key = await lab.createKey();
  const link = new UnixLink(mkdtempSync(join(tmpdir(), 'kms-egress-')));
  const patience = { totalMs: 600, attemptMs: 300 };
  const kms = await openAttestedKms({ ...lab.options(key), patience, connect: throughParent(link) });
  await expect(kms.generateDataKey(CONTEXT)).rejects.toMatchObject({ code: 'KMS_UNAVAILABLE' });
  kms.close();
});
