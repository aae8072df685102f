import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { readEnclaveConfig } from '../../../enclave/config.ts';
import { openLink } from '../../../enclave/link/open.ts';
import { UnixLink } from '../../../enclave/link/unix.ts';
import { PARENT_CID, VSOCK_PORTS, vsockAddresses } from '../../../enclave/link/vsock.ts';
import { ANY_CID } from '../../../enclave/native/addon.ts';

const directory = mkdtempSync(join(tmpdir(), 'kms-link-'));
const path = join(directory, 'config.json');
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const common = { roundMs: 100, openingMs: 200 };

function read(fields: object): ReturnType<typeof readEnclaveConfig> {
  writeFileSync(path, JSON.stringify({ ...common, ...fields }));
  return readEnclaveConfig(path);
}

describe('link of an enclave', () => {
  it('link of an enclave: a directory of sockets, or the context of the parent', async () => {
    expect((await read({ socketDirectory: directory })).link).toEqual({
      kind: 'unix',
      socketDirectory: directory,
    });
    expect((await read({ parentCid: 3 })).link).toEqual({ kind: 'vsock', parentCid: 3 });
  });

  it.each([
    ['neither', {}],
    ['both', { socketDirectory: '/tmp', parentCid: 3 }],
    ['a context that is text', { parentCid: '3' }],
    ['the hypervisor as parent', { parentCid: 0 }],
    ['itself as parent', { parentCid: 1 }],
    ['any context', { parentCid: ANY_CID }],
    ['a platform', { socketDirectory: '/tmp', platform: 'mock' }],
  ])('link of an enclave: %s is BAD_INPUT', async (_, fields) => {
    await expect(read(fields)).rejects.toMatchObject({ code: 'BAD_INPUT' });
  });

  it('link of an enclave: vsock needs the native layer, sockets do not', () => {
    expect(openLink({ kind: 'unix', socketDirectory: directory })).toBeInstanceOf(UnixLink);
    expect(() => openLink({ kind: 'vsock', parentCid: 3 })).toThrow(
      expect.objectContaining({ code: 'UNAVAILABLE' }),
    );
  });

  it('link of an enclave: it listens to any context and connects to its parent alone', () => {
    const { own, other } = vsockAddresses();
    for (const service of ['ingress', 'members', 'egress'] as const) {
      expect(own(service)).toEqual({ cid: ANY_CID, port: VSOCK_PORTS[service] });
      expect(other(service)).toEqual({ cid: PARENT_CID, port: VSOCK_PORTS[service] });
    }
    expect(new Set(Object.values(VSOCK_PORTS)).size).toBe(3);
  });
});
