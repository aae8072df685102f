import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { fetchPackage } from '../../../infra/build/debian.ts';
import { refusedLines } from '../../../infra/image/kernel.ts';
import { KERNEL_SOURCE, LIBRARIES } from '../../../infra/image/pins.ts';
import { cmdlines, command, configurations, environment } from '../../../infra/image/terms.ts';
import { writeEvidence } from '../../../infra/lab/evidence.ts';
import { verifyChain } from '../../../shared/attestation/chain.ts';
import { ROOTS } from '../../../shared/attestation/roots/lab.ts';

const directory = mkdtempSync(join(tmpdir(), 'kms-image-'));
const kernelConfig = readFileSync(
  fileURLToPath(new URL('../../../infra/image/kernel.config', import.meta.url)),
  'utf8',
);

afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe('image', () => {
  it('image: nothing in production’s terms is one node’s own, or the lab’s', () => {
    expect(cmdlines.production).not.toMatch(/parent_cid|tsc|debug|init=/);
    expect(cmdlines.lab.replace(' enclave.parent_cid=2', '')).toBe(cmdlines.production);
    expect(configurations.production).toEqual({
      parentCid: 3,
      roundMs: 5_000,
      openingMs: 120_000,
    });
    expect(command).toContain('--disable-sigusr1');
    expect(environment).toEqual(['NODE_ENV=production', 'HOME=/app']);
  });

  it('kernel: a line that Kconfig drops, or a driver that stays on, is named', () => {
    const config = 'CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_D=y\nCONFIG_E="x"\n';
    expect(refusedLines('CONFIG_A=y\nCONFIG_B=n\nCONFIG_C=n\nCONFIG_E="x"\n# text\n', config)).toEqual([]);
    expect(refusedLines('CONFIG_B=y\nCONFIG_C=y\nCONFIG_D=n\nCONFIG_E="y"\n', config)).toEqual([
      'CONFIG_B=y',
      'CONFIG_C=y',
      'CONFIG_D=n',
      'CONFIG_E="y"',
    ]);
  });

  it.each([
    ...['RANDOMIZE_BASE=y', 'CPU_MITIGATIONS=y', 'LOCK_DOWN_KERNEL_FORCE_CONFIDENTIALITY=y', 'MODULES=n'],
    ...['KEXEC=n', 'DEVMEM=n', 'BPF_SYSCALL=n', 'IO_URING=n', 'COREDUMP=n', 'DEBUG_FS=n', 'TTY=n', 'SWAP=n'],
    ...['INIT_ON_ALLOC_DEFAULT_ON=y', 'INIT_ON_FREE_DEFAULT_ON=y', 'SLAB_FREELIST_HARDENED=y', 'NSM=y'],
  ])('kernel: %s', (line) => {
    expect(kernelConfig.split('\n')).toContain(`CONFIG_${line}`);
  });

  it('pins: every file has a hash', () => {
    for (const { sha256 } of [KERNEL_SOURCE, ...LIBRARIES]) expect(sha256).toMatch(/^[0-9a-f]{64}$/);
  });

  it('pins: a file of the cache with another hash is refused, whatever its name', () => {
    vi.stubEnv('KMS_CACHE', directory);
    const [library] = LIBRARIES;
    mkdirSync(join(directory, 'packages'));
    writeFileSync(join(directory, 'packages', library!.name), 'something else');
    expect(() => fetchPackage(library!)).toThrow(/has SHA-256 .*: remove it/);
    vi.unstubAllEnvs();
  });
});

describe('lab', () => {
  it('lab: an emulated module’s certificates lead to the root that lab builds pin', async () => {
    const evidence = join(directory, 'evidence');
    expect(await writeEvidence(evidence)).toMatch(/^i-[0-9a-f]{16}-enc[0-9a-f]{16}$/);
    const names = ['bundle-0.der', 'bundle-1.der', 'bundle-2.der', 'bundle-3.der', 'leaf.der'];
    const chain = names.map((name) => new Uint8Array(readFileSync(join(evidence, name))));
    expect(chain[0]).toEqual(ROOTS[0]!.der);
    const verified = await verifyChain(chain);
    if (typeof verified === 'string') throw new Error(verified);
    expect(verified.notBeforeMs).toBeLessThan(Date.now());
    expect(verified.notAfterMs).toBeGreaterThan(Date.now() + 3 * 86_400_000);
  });
});
