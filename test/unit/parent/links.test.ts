import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { VsockLink as EnclaveLink, type LinkAddresses } from '../../../enclave/link/vsock.ts';
import type { NativeAddon } from '../../../enclave/native/addon.ts';
import { readParentConfig } from '../../../parent/config.ts';
import { openLink } from '../../../parent/link/open.ts';
import { UnixLink } from '../../../parent/link/unix.ts';
import { VhostLink } from '../../../parent/link/vhost.ts';
import { enclaveAddresses, VsockLink } from '../../../parent/link/vsock.ts';
import { Relay } from '../../../parent/relay.ts';
import { parseAddress } from '../../../shared/address.ts';
import { egressLine } from '../../../shared/egress.ts';
import type { Link } from '../../../shared/link.ts';
import { ANY_CID } from '../../../shared/native/addon.ts';
import { VSOCK_PORTS } from '../../../shared/native/link.ts';
import { concat, utf8 } from '../../../shared/wire/bytes.ts';
import { VhostBackend } from '../../faults/vhost-backend.ts';
import { builtAddon, builtSplice, canBuild } from '../native/built.ts';
import { freePort, type Logged, recorder, tcp, until } from '../net/nodes.ts';

let directory = '';
const closers: (() => unknown)[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kms-links-'));
});

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  await rm(directory, { recursive: true, force: true });
});

/** Who carries the bytes; and whether it is the kernel. */
const carriers: (readonly [string, boolean])[] = [['the relay', false]];
if (canBuild) carriers.push(['the kernel', true]);

/** A relay over this link, its public address, and what it logged. */
async function relayOver(
  link: Link<Duplex>,
  byKernel: boolean,
): Promise<{ readonly address: string; readonly log: Logged[] }> {
  const address = `127.0.0.1:${await freePort()}`;
  const log: Logged[] = [];
  const relay = await Relay.open({
    ...{ link, listen: parseAddress(address), log: recorder(log) },
    allowed: async () => new Set([address]),
    addon: byKernel ? builtSplice(join(directory, 'splice.node')) : undefined,
  });
  closers.push(() => relay.close());
  return { address, log };
}

async function client(address: string): Promise<Socket> {
  const socket = await tcp(address);
  closers.push(() => socket.destroy());
  return socket;
}

/** Sends much through the relay to an enclave that echoes; then lets the enclave reach itself through the relay. */
async function carriesBothWays(
  address: string,
  listen: (onStream: (stream: Duplex) => void) => unknown,
  connect: () => Promise<Duplex>,
): Promise<void> {
  const received = (stream: Duplex, sizeBytes: number): Promise<Buffer> =>
    new Promise((resolve) => {
      const parts: Buffer[] = [];
      stream.on('data', (part: Buffer) => {
        parts.push(part);
        const all = Buffer.concat(parts);
        if (all.length >= sizeBytes) resolve(all);
      });
      stream.resume();
    });
  await listen((stream) => stream.on('error', () => {}).pipe(stream));
  const sent = randomBytes(3_000_000);
  const socket = await client(address);
  const back = received(socket, sent.length);
  socket.write(sent);
  expect((await back).equals(sent)).toBe(true);
  const stream = await connect();
  closers.push(() => stream.destroy());
  const echo = received(stream, 100_005);
  const more = randomBytes(100_000);
  stream.write(concat(egressLine(address), utf8('first')));
  stream.write(more);
  expect((await echo).equals(Buffer.concat([Buffer.from('first'), more]))).toBe(true);
}

describe('vhost link', () => {
  let backend: VhostBackend;
  let path = '';

  beforeEach(async () => {
    path = join(directory, 'vm.vsock');
    backend = await VhostBackend.open(path);
    closers.push(() => backend.close());
  });

  it.each(carriers)('vhost link: %s carries bytes both ways through the backend', async (_who, byKernel) => {
    const { address } = await relayOver(new VhostLink(path, VSOCK_PORTS), byKernel);
    await carriesBothWays(
      address,
      (onStream) => backend.guestListens(VSOCK_PORTS.ingress, onStream),
      () => backend.guestConnects(VSOCK_PORTS.egress),
    );
  });

  it('vhost link: bytes right behind the answer are the enclave’s, and an answer may come in pieces', async () => {
    backend.guestListens(VSOCK_PORTS.ingress, () => {});
    backend.answer = ['O', 'K 10', '24\nhello'];
    const stream = await new VhostLink(path, VSOCK_PORTS).connect('ingress');
    closers.push(() => stream.destroy());
    expect(String((await once(stream.resume(), 'data'))[0])).toBe('hello');
  });

  it.each([
    ['nobody listens inside', undefined],
    ['a refusal', ['NO\n']],
    ['nonsense that begins well', ['OK but no\n']],
    ['a line without end', ['OK '.padEnd(100, '1')]],
    ['silence', []],
  ])('vhost link: %s is an error, and nothing stays open', async (_, answer) => {
    let guest: Socket | undefined;
    if (answer !== undefined) {
      backend.answer = answer;
      backend.guestListens(VSOCK_PORTS.ingress, (stream) => {
        guest = stream.resume();
      });
    }
    const code = answer?.length === 0 ? 'TIMEOUT' : 'UNAVAILABLE';
    await expect(new VhostLink(path, VSOCK_PORTS).connect('ingress')).rejects.toMatchObject({ code });
    if (answer !== undefined) await until(() => guest?.destroyed === true);
  });

  it('vhost link: without a backend, or with a path too long, it is an error', async () => {
    const absent = new VhostLink(join(directory, 'absent'), VSOCK_PORTS);
    await expect(absent.connect('ingress')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(() => new VhostLink(`/tmp/${'x'.repeat(95)}`, VSOCK_PORTS)).toThrow(
      expect.objectContaining({ code: 'BAD_INPUT' }),
    );
  });

  it('vhost link: a heartbeat is answered with its byte, anything else is not; a second parent is BUSY', async () => {
    const link = new VhostLink(path, VSOCK_PORTS);
    const listener = await link.listen('egress', () => {});
    await expect(link.listen('egress', () => {})).rejects.toMatchObject({ code: 'BUSY' });
    const heart = await backend.guestConnects(9000);
    heart.write(Buffer.of(0xb7));
    expect((await once(heart, 'data'))[0]).toEqual(Buffer.of(0xb7));
    heart.destroy();
    for (const wrong of [Buffer.of(0xb6), Buffer.of(0xb7, 0xb7), randomBytes(1_000)]) {
      const stream = await backend.guestConnects(9000);
      let answered = false;
      stream.on('data', () => {
        answered = true;
      });
      stream.write(wrong);
      await once(stream, 'close');
      expect(answered).toBe(false);
    }
    await listener.close();
    await expect(backend.guestConnects(9000)).rejects.toThrow();
    await (await link.listen('egress', () => {})).close();
  });

  it('vhost link: heartbeats of one that makes many and leaves them are bounded', async () => {
    const listener = await new VhostLink(path, VSOCK_PORTS).listen('egress', () => {});
    closers.push(() => listener.close());
    const streams = await Promise.all(Array.from({ length: 12 }, () => backend.guestConnects(9000)));
    for (const stream of streams) stream.resume();
    await until(() => streams.filter(({ destroyed }) => destroyed).length === 8);
  });
});

describe.skipIf(!canBuild)('vsock link of the parent', () => {
  let addon: NativeAddon;

  beforeEach(() => {
    addon = builtAddon(join(directory, 'kms.node'));
  });

  const socketFiles = (): LinkAddresses => {
    const address = (service: string): string => join(directory, service);
    return { own: address, other: address };
  };

  it.each(carriers)(
    'vsock link of the parent: meets the enclave’s, and %s carries bytes both ways over them',
    async (_who, byKernel) => {
      const enclave = new EnclaveLink(addon, socketFiles());
      const { address } = await relayOver(new VsockLink(addon, socketFiles()), byKernel);
      await carriesBothWays(
        address,
        (onStream) => enclave.listen('ingress', onStream),
        () => enclave.connect('egress'),
      );
    },
  );

  it('vsock link of the parent: streams go to the enclave’s context, and come from no other', async () => {
    const asked: unknown[] = [];
    let cid = 16;
    // The addresses of AF_VSOCK, on socket files: this machine may have no context but its own.
    const path = (address: unknown): string => {
      asked.push(address);
      return join(directory, `${asked.length}`);
    };
    const link = new VsockLink(
      {
        ...addon,
        listen: (address, backlog) => addon.listen(path(address), backlog),
        connect: (address) => addon.connect(path(address)),
        peerCid: () => cid,
      },
      enclaveAddresses(16, VSOCK_PORTS),
    );
    const streams: Duplex[] = [];
    const listener = await link.listen('egress', (stream) => streams.push(stream));
    closers.push(() => listener.close());
    await expect(link.connect('ingress')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(asked).toEqual([
      { cid: ANY_CID, port: VSOCK_PORTS.egress },
      { cid: 16, port: VSOCK_PORTS.ingress },
    ]);
    const socket = join(directory, '1');
    const from = async (): Promise<Duplex> => {
      const stream = await new EnclaveLink(addon, { own: () => socket, other: () => socket }).connect(
        'egress',
      );
      closers.push(() => stream.destroy());
      return stream.resume();
    };
    await from();
    await until(() => streams.length === 1);
    cid = 17;
    await once(await from(), 'close');
    expect(streams.length).toBe(1);
    expect(addon.peerCid(-1)).toBeLessThan(0);
  });
});

describe.skipIf(!canBuild)('AF_VSOCK of the parent', () => {
  it('AF_VSOCK of the parent: streams over the local context, where the machine has one', async ({
    skip,
  }) => {
    const addon = builtAddon(join(directory, 'kms.node'));
    const LOCAL = 1;
    const port = 40_000 + (process.pid % 10_000);
    const ports = { ingress: port, members: port + 1, egress: port + 2 };
    const received: Buffer[] = [];
    let stream: Duplex;
    try {
      const listener = await new VsockLink(addon, enclaveAddresses(LOCAL, ports)).listen('egress', (from) => {
        from.on('data', (part: Buffer) => received.push(part));
      });
      closers.push(() => listener.close());
      const at = { cid: LOCAL, port: ports.egress };
      stream = await new EnclaveLink(addon, { own: () => at, other: () => at }).connect('egress');
      closers.push(() => stream.destroy());
    } catch (error) {
      process.stderr.write(`\nSKIPPED: AF_VSOCK does not loop back here (${String(error)})\n\n`);
      return skip();
    }
    const sent = randomBytes(1_000_000);
    stream.write(sent);
    await until(() => Buffer.concat(received).equals(sent));
  });
});

describe('link of a parent', () => {
  it('link of a parent: is what its configuration says', async () => {
    const file = join(directory, 'parent.json');
    const common = { listen: '127.0.0.1:7000', configurationsFile: '/tmp/b' };
    const read = async (fields: object): Promise<unknown> => {
      await writeFile(file, JSON.stringify({ ...common, ...fields }));
      return (await readParentConfig(file)).link;
    };
    const ports = { ingress: 7, members: 9, egress: 8 };
    expect(await read({ enclaveCid: 16 })).toEqual({ kind: 'vsock', enclaveCid: 16, ports: VSOCK_PORTS });
    expect(await read({ enclaveCid: 16, ports })).toEqual({ kind: 'vsock', enclaveCid: 16, ports });
    expect(await read({ vhostSocket: '/a', ports })).toEqual({ kind: 'vhost', vhostSocket: '/a', ports });
    const bad = [
      {},
      { socketDirectory: '/a', enclaveCid: 16 },
      { socketDirectory: '/a', vhostSocket: '/b' },
      { socketDirectory: '/a', ports },
      { enclaveCid: 16, vhostSocket: '/b' },
      ...[3, -1, 1.5, '16', ANY_CID, null].map((enclaveCid) => ({ enclaveCid })),
      ...[
        { ...ports, egress: 7 },
        { ingress: 7, egress: 8 },
        { ...ports, more: 1 },
        { ...ports, egress: 9000 },
        5,
      ].map((other) => ({ enclaveCid: 16, ports: other })),
      { vhostSocket: '' },
    ];
    for (const fields of bad) await expect(read(fields)).rejects.toMatchObject({ code: 'BAD_INPUT' });
  });

  it('link of a parent: only the emulator’s answers heartbeats', async () => {
    const unix = await new UnixLink(directory).listen('egress', () => {});
    closers.push(() => unix.close());
    expect(await readdir(directory)).toEqual(['egress.sock']);
    const vhost = openLink({ kind: 'vhost', vhostSocket: join(directory, 'vm'), ports: VSOCK_PORTS });
    const listener = await vhost.listen('egress', () => {});
    closers.push(() => listener.close());
    expect((await readdir(directory)).sort()).toEqual(['egress.sock', `vm_${VSOCK_PORTS.egress}`, 'vm_9000']);
  });
});
