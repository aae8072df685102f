import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readParentConfig } from '../../../../parent/config.ts';

let directory: string;
let path: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kms-connector-config-'));
  path = join(directory, 'parent.json');
});

afterEach(() => rm(directory, { recursive: true, force: true }));

const parent = { listen: '127.0.0.1:7000', socketDirectory: '/tmp/a', configurationsFile: '/c' };
const registry = `0x${'Ab'.repeat(20)}`;
const gateway = { url: 'http://gateway', chainId: 1, registry, startBlock: 7, confirmations: 2 };
const good = {
  ...{ stateDirectory: '/s', accountKeyFile: '/k', listen: '0.0.0.0:9000', gateway },
  hosts: [{ url: 'https://host', chainId: 2 }],
  envelopes: [{ url: 'https://one/envelopes' }, { directory: '/e' }],
};

async function read(connector: unknown) {
  await writeFile(path, JSON.stringify({ ...parent, connector }));
  return (await readParentConfig(path)).connector;
}

test('connector configuration: all of it, and none of it', async () => {
  expect(await read(good)).toEqual({
    ...{ stateDirectory: '/s', accountKeyFile: '/k', listen: { host: '0.0.0.0', port: 9000 } },
    gateway: {
      ...{ url: 'http://gateway', chainId: 1n, startBlock: 7n, pollMs: 50, finality: { confirmations: 2 } },
      registry: registry.toLowerCase(),
    },
    hosts: [{ url: 'https://host', chainId: 2n, startBlock: 0n, pollMs: 50, finality: 'finalized' }],
    envelopes: good.envelopes,
  });
  expect(await read(undefined)).toBeUndefined();
  const tls = { certificateFile: '/c.pem', keyFile: '/k.pem' };
  expect((await read({ ...good, tls }))?.tls).toEqual(tls);
  const announced = { ...gateway, headsUrl: 'wss://gateway/heads?key=1' };
  expect((await read({ ...good, gateway: announced }))?.gateway.headsUrl).toBe(announced.headsUrl);
});

const host = { url: 'http://a', chainId: 3 };

test.each<[string, unknown]>([
  ['no object', 'x'],
  ['null', null],
  ['an unknown field', { ...good, more: 1 }],
  ['a certificate without key', { ...good, tls: { certificateFile: '/c' } }],
  ['an unknown field of TLS', { ...good, tls: { certificateFile: '/c', keyFile: '/k', more: 1 } }],
  ['an unknown field of the gateway', { ...good, gateway: { ...gateway, more: 1 } }],
  ['an unknown field of a host', { ...good, hosts: [{ ...host, more: 1 }] }],
  ['an unknown field of a place', { ...good, envelopes: [{ url: 'http://a', directory: '/a' }] }],
  ['no state', { ...good, stateDirectory: undefined }],
  ['no account', { ...good, accountKeyFile: undefined }],
  ['no address', { ...good, listen: undefined }],
  ['an address without port', { ...good, listen: 'a' }],
  ['no registry', { ...good, gateway: { ...gateway, registry: '0x00' } }],
  ['a URL of another kind', { ...good, gateway: { ...gateway, url: 'ftp://a' } }],
  ['what only begins as a URL', { ...good, gateway: { ...gateway, url: 'http://:::' } }],
  ['no WebSocket', { ...good, gateway: { ...gateway, headsUrl: 'https://a' } }],
  ['no WebSocket of a host', { ...good, hosts: [{ ...host, headsUrl: 7 }] }],
  ['a place of another kind', { ...good, envelopes: [{ url: 'ftp://a' }] }],
  ['no envelopes', { ...good, envelopes: [] }],
  ['too many places', { ...good, envelopes: Array.from({ length: 65 }, () => ({ directory: '/a' })) }],
  ['a host twice', { ...good, hosts: [host, host] }],
  ['the gateway as a host', { ...good, hosts: [{ ...host, chainId: 1 }] }],
  ['too many hosts', { ...good, hosts: Array.from({ length: 65 }, (_, i) => ({ ...host, chainId: 9 + i })) }],
])('connector configuration: %s is refused', async (_, connector) => {
  await expect(read(connector)).rejects.toMatchObject({ code: 'BAD_INPUT' });
});
