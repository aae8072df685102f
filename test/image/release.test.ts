import { afterAll, expect, it } from 'vitest';
import { NodeChannel } from '../../client/node-channel.ts';
import { unconditionally } from '../../client/node-trust.ts';
import { measure } from '../../infra/eif/pcr.ts';
import { imageFiles } from '../../infra/image/build.ts';
import { freePort } from '../../infra/local/process.ts';
import { VhostLink } from '../../parent/link/vhost.ts';
import { Relay } from '../../parent/relay.ts';
import { measurementOf } from '../../shared/attestation/pcr.ts';
import { ROOTS as awsRoots } from '../../shared/attestation/roots/aws.ts';
import { ROOTS as labRoots } from '../../shared/attestation/roots/lab.ts';
import { VSOCK_PORTS } from '../../shared/native/link.ts';
import { toHex } from '../../shared/wire/bytes.ts';
import { Machines } from './machines.ts';
import { builtImage } from './variants.ts';

const machines = new Machines();
const BOOT_MS = 240_000;

afterAll(() => machines[Symbol.asyncDispose]());

it('release: the production image boots, serves, and convinces nobody here', async () => {
  // On a real host nobody can add to the command line unnoticed; the emulator's parent has another number.
  const machine = await machines.start(imageFiles('production').eif, {
    parent: false,
    append: 'enclave.parent_cid=2',
  });
  const listen = { host: '127.0.0.1', port: await freePort() };
  const link = new VhostLink(machine.vhostSocket, VSOCK_PORTS);
  const relay = await Relay.open({ link, listen, log: () => {}, allowed: async () => new Set<string>() });
  try {
    await machine.shown(/"node-open","step":"unjoined"/, BOOT_MS);
    const place = { identity: undefined, addresses: [`127.0.0.1:${listen.port}`] };
    const seen = new NodeChannel(place, { ...unconditionally(), roots: labRoots });
    await seen.client();
    const { pcr0, pcr1, pcr2 } = measurementOf(seen.node!.document.pcrs);
    seen.close();
    const built = measure(builtImage('production'));
    expect([pcr0, pcr1, pcr2].map(toHex)).toEqual([built.pcr0, built.pcr1, built.pcr2].map(toHex));
    const believer = new NodeChannel(place, { ...unconditionally(), roots: awsRoots });
    await expect(believer.client()).rejects.toMatchObject({ code: 'BAD_ATTESTATION' });
    believer.close();
  } finally {
    await relay.close();
  }
});
