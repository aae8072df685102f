import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Bundle, type BundleClass, bundleClasses, bundleEnclave } from '../../../infra/build/bundle.ts';
import { ROOTS as awsRoots } from '../../../shared/attestation/roots/aws.ts';
import { ROOTS as labRoots } from '../../../shared/attestation/roots/lab.ts';
import { ROOTS as mockRoots } from '../../../shared/attestation/roots/mock.ts';
import { DirectService } from '../../direct/generated/kms/direct/v1/direct_pb.js';

const repository = fileURLToPath(new URL('../../../', import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'kms-bundle-'));
const bundles = new Map<BundleClass, Bundle>();

beforeAll(async () => {
  for (const of of bundleClasses) bundles.set(of, await bundleEnclave(of));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const bundle = (of: BundleClass): Bundle => bundles.get(of)!;
const inputs = (of: BundleClass): readonly string[] => Object.keys(bundle(of).metafile.inputs).sort();
const ownInputs = (of: BundleClass): readonly string[] =>
  inputs(of).filter((path) => !path.startsWith('node_modules/'));
const source = (path: string): string => readFileSync(join(repository, path), 'utf8');

function onlyIn(a: BundleClass, b: BundleClass): readonly string[] {
  return inputs(a).filter((path) => !inputs(b).includes(path));
}

/** Names that a file declares, and its long texts. */
function marksOf(path: string): readonly string[] {
  const text = source(path);
  const names = [...text.matchAll(/^(?:export )?(?:async )?(?:const|function|class) (\w+)/gm)].map(
    ([, n]) => n!,
  );
  const texts = [...text.matchAll(/'([^'\n]{24,})'/g)].map(([, t]) => t!).filter((t) => !t.includes('/'));
  return [...names, ...texts];
}

/** Pieces of the base64 form, as sources spell it. */
function windowsOf(der: Uint8Array, step = 8): readonly string[] {
  const base64 = Buffer.from(der).toString('base64');
  return Array.from({ length: Math.floor((base64.length - 32) / step) + 1 }, (_, i) =>
    base64.slice(i * step, i * step + 32),
  );
}

/** The text of a bundle with what generated code holds in base64: descriptors of services and their methods. */
function withDescriptors(code: string): string {
  const encoded = [...code.matchAll(/"([A-Za-z0-9+/]{64,}={0,2})"/g)].map(([, text]) => text!);
  return [code, ...encoded.map((text) => Buffer.from(text, 'base64').toString('latin1'))].join('\n');
}

describe('bundles', () => {
  it('bundles: production and mock differ in platform and roots, production and lab in roots', () => {
    expect(onlyIn('production', 'mock')).toEqual([
      'enclave/platform/nitro.ts',
      'shared/attestation/roots/amazon.ts',
      'shared/attestation/roots/aws.ts',
    ]);
    expect(onlyIn('mock', 'production')).toEqual([
      'enclave/platform/mock.ts',
      'shared/attestation/roots/mock.ts',
    ]);
    expect(onlyIn('production', 'lab')).toEqual([
      'shared/attestation/roots/amazon.ts',
      'shared/attestation/roots/aws.ts',
    ]);
    expect(onlyIn('lab', 'production')).toEqual(['shared/attestation/roots/lab.ts']);
  });

  it('bundles: nothing of the mock platform, of its root or of the lab is in production', () => {
    const { code } = bundle('production');
    const shared = [
      'openPlatform',
      'ROOTS',
      'openChainHead',
      'SECOND_MS',
      'HOUR_MS',
      'DAY_MS',
      'HEADER',
      'KEY_BYTES',
      'CURVE',
    ];
    const common = new Set([
      ...shared,
      'ES384',
      'RANDOM_BYTES',
      'DOMAIN',
      'refused',
      'derOf',
      'rootKey',
      'keyIn',
    ]);
    const marks = [
      'enclave/platform/mock.ts',
      'shared/attestation/roots/mock.ts',
      'shared/attestation/roots/lab.ts',
    ]
      .flatMap(marksOf)
      .filter((mark) => !common.has(mark));
    expect(marks).toContain('MOCK_ROOT_KEY');
    expect(marks).toContain('MockSecurityModule');
    expect(marks).toContain('mockChainHead');
    expect(marks).toContain('MOCK_BLOCK_0_MS');
    expect(marks).toContain('labRoot');
    expect(marks.filter((mark) => code.includes(mark))).toEqual([]);
    expect(code).not.toMatch(/DEVELOPMENT/);
    for (const { der, sha256, name } of [...mockRoots, ...labRoots]) {
      // What all certificates of the family have in common is no mark of any.
      const windows = windowsOf(der).filter(
        (window) => !windowsOf(awsRoots[0]!.der, 1).some((w) => w === window),
      );
      expect(windows.length).toBeGreaterThan(30);
      expect(windows.filter((window) => code.includes(window))).toEqual([]);
      expect(code).not.toContain(sha256);
      expect(code).not.toContain(`name: "${name}"`);
    }
  });

  it('bundles: production speaks of mock and lab only to refuse them', () => {
    const spoken = bundle('production')
      .code.split('\n')
      .filter((line) => /mock|stub|insecure|DEVELOPMENT|\blab\b/i.test(line))
      .map((line) => line.trim());
    expect(spoken).toEqual([
      // Ids of other classes are recognised, and their networks are not joined.
      'var networkClasses = ["production", "lab", "mock"];',
      'lab: utf8("lab\\0"),',
      'mock: utf8("mock")',
      '"root-class": "enclaves of this class (production, lab or mock) have no place in that network",',
    ]);
    for (const of of ['production', 'lab'] as const) {
      expect(bundle(of).code).toContain('openChainHead = () => void 0');
      expect(bundle(of).code).not.toMatch(/=== "mock"|case "mock"/);
    }
    expect(bundle('mock').code).toContain('openChainHead = mockChainHead');
  });

  it('bundles: the marks that production is searched for are in the other builds', () => {
    expect(bundle('mock').code).toContain('MOCK_ROOT_KEY');
    expect(bundle('mock').code).toContain(mockRoots[0]!.sha256);
    expect(bundle('lab').code).toContain(labRoots[0]!.sha256);
    expect(bundle('lab').code).not.toContain('MOCK_ROOT_KEY');
    expect(bundleClasses.map((of) => bundle(of).code.includes(awsRoots[0]!.sha256))).toEqual([
      true,
      false,
      false,
    ]);
  });

  it('bundles: no source of ours and no bundle reads the environment', () => {
    for (const of of bundleClasses) {
      for (const path of ownInputs(of)) {
        expect(
          source(path).match(/process\s*\.\s*env|process\[|\benv\b.*from 'node:process'/),
          path,
        ).toBeNull();
      }
      const code = bundle(of).code.replaceAll(/typeof process\.env\b/g, '');
      expect(code.match(/process\.env\b.*/g) ?? [], of).toEqual([]);
    }
  });

  it('bundles: contain enclave and shared sources only, and no development dependency', () => {
    const { devDependencies } = JSON.parse(source('package.json')) as {
      devDependencies: Record<string, string>;
    };
    for (const path of bundleClasses.flatMap(inputs)) {
      expect(path).toMatch(/^(?:enclave|shared|node_modules)\//);
      const name = /^node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1];
      if (name !== undefined) expect(Object.keys(devDependencies)).not.toContain(name);
    }
  });

  it('bundles: no service that decrypts whatever it is given, nor anything else of the tests, is in any of them', async () => {
    const { name: service, file, method } = DirectService;
    const names = [
      ...['DirectWork', 'directRoutes', service, file.proto.package],
      ...[method.generateKey.input.name, method.userDecrypt.input.name],
    ];
    const { code, metafile } = await bundleEnclave('mock', repository, 'test/direct/enclave.ts');
    expect(Object.keys(metafile.inputs)).toContain('test/direct/work.ts');
    for (const name of names) expect(withDescriptors(code).includes(name), name).toBe(true);
    for (const of of bundleClasses) {
      const found = names.filter((name) => withDescriptors(bundle(of).code).includes(name));
      expect(found, of).toEqual([]);
    }
  });

  it('bundles: the same source elsewhere gives the same bytes', async () => {
    const copy = join(directory, 'another', 'place');
    const packages = new Set<string>();
    const files = new Set(bundleClasses.flatMap(inputs));
    for (const path of files) {
      for (let at = dirname(path); at !== '.'; at = dirname(at)) packages.add(join(at, 'package.json'));
    }
    for (const path of [...files, ...packages, 'package.json']) {
      if (!existsSync(join(repository, path))) continue;
      mkdirSync(dirname(join(copy, path)), { recursive: true });
      cpSync(join(repository, path), join(copy, path));
    }
    for (const of of bundleClasses) {
      const there = await bundleEnclave(of, copy);
      expect(there.code === bundle(of).code, of).toBe(true);
      expect(there.metafile).toEqual(bundle(of).metafile);
    }
  });

  it('bundles: production starts nowhere but on a security module, whatever it is told', () => {
    const place = join(directory, 'production');
    mkdirSync(place);
    writeFileSync(join(place, 'enclave.mjs'), bundle('production').code);
    const config = {
      socketDirectory: place,
      roundMs: 100,
      openingMs: 100,
    };
    writeFileSync(join(place, 'config.json'), JSON.stringify(config));
    const flags = ['-C', 'mock', '-C', 'default'];
    const env = { ...process.env, NODE_ENV: 'development', KMS_MOCK: '1', KMS_PLATFORM: 'mock' };
    const { status, stderr } = spawnSync(
      process.execPath,
      [...flags, 'enclave.mjs', '--config', 'config.json'],
      { cwd: place, env, encoding: 'utf8', timeout: 20_000 },
    );
    expect(status).toBe(1);
    expect(stderr).toMatch(/native layer/);
  });
});
