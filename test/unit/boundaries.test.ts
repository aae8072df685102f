import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { describe, expect, test } from 'vitest';
import packageJson from '../../package.json' with { type: 'json' };
import { importsOf, violations } from './arrows.ts';

const ROOT = join(import.meta.dirname, '../..');
const ZONES = ['shared', 'enclave', 'parent', 'client', 'gateway', 'infra', 'test'];
/** Generated code, and AssemblyScript, which is another language. */
const SKIPPED = /(?:^|\/)(?:generated|node_modules|out)(?:\/|$)|^shared\/math\/kernel\/assembly\//;

function sources(): readonly string[] {
  return ZONES.flatMap((zone) => {
    const entries = readdirSync(join(ROOT, zone), { recursive: true, withFileTypes: true });
    return entries
      .filter((entry) => entry.isFile() && /\.[cm]?[jt]s$/.test(entry.name))
      .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)).split(sep).join('/'))
      .filter((path) => !SKIPPED.test(path));
  });
}

const found = (path: string, source: string): readonly string[] => violations({ path, source }, packageJson);

test('boundaries: every import in the repository follows an arrow', () => {
  const files = sources();
  expect(files).toContain('shared/errors.ts');
  expect(files).toContain('enclave/main.ts');
  expect(files).toContain('client/cli/net.ts');
  const all = files.flatMap((path) => found(path, readFileSync(join(ROOT, path), 'utf8')));
  expect(all).toEqual([]);
});

describe('planted imports', () => {
  test('boundaries: a subpath import follows an arrow under every build condition', () => {
    const imports = { '#platform': { real: './enclave/real.ts', default: './test/mock.ts' } };
    const names = { dependencies: {}, imports };
    const source = "import { platform } from '#platform';";
    expect(violations({ path: 'enclave/a.ts', source }, names)).toEqual([
      'enclave/a.ts: imports test/mock.ts',
    ]);
    expect(violations({ path: 'parent/a.ts', source }, names)).toHaveLength(2);
    expect(violations({ path: 'enclave/a.ts', source: "import '#other';" }, names)).toHaveLength(1);
  });

  test.each<[string, string]>([
    ['shared/a/b.ts', "import { x } from '../../enclave/x.ts';"],
    ['shared/a.ts', "import { x } from '../client/x.ts';"],
    ['shared/a.ts', "import { x } from '../infra/x.ts';"],
    ['shared/a.ts', "import { x } from '../test/x.ts';"],
    ['shared/a.ts', "import type { X } from '../parent/x.ts';"],
    ['shared/a.ts', "export { x } from '../enclave/x.ts';"],
    ['shared/a.ts', "export * from '../enclave/x.ts';"],
    ['shared/a.ts', "const x = await import('../enclave/x.ts');"],
    ['shared/a.ts', "import {\n  x,\n  y,\n} from '../enclave/x.ts';"],
    ['shared/a.ts', 'import { x } from "../enclave/x.ts";'],
    ['shared/a.ts', "import '../enclave/x.ts';"],
    ['shared/a.ts', 'const x = await import(name);'],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the text of a template.
    ['enclave/a.ts', 'const x = await import(`../parent/${name}.ts`);'],
    ['shared/a.ts', "let x: import('../enclave/x.ts').X;"],
    ['shared/a.ts', "import { x } from './b/../../enclave/x.ts';"],
    ['shared/a.ts', "import { readFile } from 'node:fs';"],
    ['shared/a.ts', "import { readFile } from 'fs';"],
    ['shared/a.ts', "import { initialize } from 'node-seal';"],
    ['shared/a.ts', "import { test } from 'vitest';"],
    ['shared/a.ts', "/* a */ import { x } from /* b */ '../enclave/x.ts';"],
    ['enclave/a.ts', "import { x } from '../parent/x.ts';"],
    ['enclave/a.ts', "import { x } from '../client/x.ts';"],
    ['enclave/a.ts', "import { x } from '../infra/x.ts';"],
    ['enclave/a.ts', "import { x } from '../gateway/x.ts';"],
    ['enclave/a.ts', "import { x } from '../test/x.ts';"],
    ['enclave/a.ts', "import { test } from 'vitest';"],
    ['parent/a.ts', "import { x } from '../enclave/x.ts';"],
    ['client/a.ts', "import { x } from '../enclave/x.ts';"],
    ['client/cli/keygen.ts', "import { x } from '../../infra/local/network.ts';"],
    ['client/cli/net.ts', "import { x } from '../../infra/presets/prove.ts';"],
    ['client/cli/net.ts', "import { x } from '../../enclave/node.ts';"],
    ['client/cli/eif-build.ts', "import { x } from '../../infra/local/network.ts';"],
    ['client/cli/keygen.ts', "import { x } from '../../infra/eif/reader.ts';"],
    ['gateway/a.ts', "import { x } from '../client/x.ts';"],
    ['gateway/relayer/a.ts', "import { x } from '../../client/seal/x.ts';"],
    ['gateway/coprocessor/a.ts', "import { x } from '../../client/sdk/x.ts';"],
    ['parent/a.ts', "import { x } from '../gateway/relayer/x.ts';"],
    ['client/sdk/a.ts', "import { x } from '../../gateway/adapter/x.ts';"],
    ['client/gateway/a.ts', "import { x } from '../../gateway/coprocessor/x.ts';"],
    ['enclave/a.ts', "import { x } from '../gateway/adapter/x.ts';"],
    ['infra/a.ts', "import { x } from '../test/x.ts';"],
    ['client/a.ts', "import { x } from 'fast-check';"],
  ])('boundaries: %s refuses %j', (path, source) => {
    expect(found(path, source)).toHaveLength(1);
  });

  test.each<[string, string]>([
    ['shared/a.ts', "import { x } from './x.ts';"],
    ['shared/a/b.ts', "import { x } from '../x.ts';"],
    ['shared/a.ts', "import { sha256 } from '@noble/hashes/sha2.js';"],
    ['shared/a.ts', "// import { x } from '../enclave/x.ts';"],
    ['shared/a.ts', "/** import { x } from '../enclave/x.ts'; */"],
    ['enclave/a.ts', "import { createHash } from 'node:crypto';"],
    ['enclave/a/b.ts', "import { x } from '../../shared/x.ts'; import { y } from '../y.ts';"],
    ['client/cli/net.ts', "import { x } from '../../infra/local/network.ts';"],
    ['client/cli/eif-build.ts', "import { x } from '../../infra/eif/writer.ts';"],
    ['client/a.ts', "import { initialize } from 'node-seal';"],
    ['parent/connector/a.ts', "import { x } from '../../gateway/adapter/x.ts';"],
    ['client/gateway/a.ts', "import { x } from '../../gateway/adapter/x.ts';"],
    ['gateway/coprocessor/a.ts', "import { x } from '../../client/seal/x.ts';"],
    ['gateway/a.ts', "import { keccak256 } from 'viem';"],
    ['infra/a.ts', "import { x } from '../enclave/x.ts'; import fc from 'fast-check';"],
    ['test/a.ts', "import { x } from '../enclave/x.ts'; import { y } from '../parent/y.ts';"],
  ])('boundaries: %s allows %j', (path, source) => {
    expect(found(path, source)).toEqual([]);
  });

  test.each([
    'process.exit(1)',
    "console.log('x')",
    'const now = Date.now();',
    'const now = new Date();',
    'const x = Math.random();',
    'setTimeout(f, 1)',
    'setImmediate(f)',
    'performance.now()',
    "Buffer.from('x')",
    'globalThis.x',
    "require('x')",
    'crypto.getRandomValues(bytes)',
    'import.meta.dirname',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the text of a template.
    'const x = `${process.pid}`',
  ])('boundaries: shared/ refuses the ambient %s, others do not', (source) => {
    expect(found('shared/a.ts', source).length).toBeGreaterThanOrEqual(1);
    expect(found('enclave/a.ts', source).filter((line) => line.includes(' uses '))).toEqual([]);
  });

  test.each([
    '// process.exit(1)',
    "throw new Error('a process or link is down')",
    'const processed = 1;',
    'const then = new Date(milliseconds);',
    'type Ports = { readonly process: Ports };',
    'crypto.verify(key, message, signature)',
    '/* Math.random */ const x = 1;',
  ])('boundaries: shared/ allows %s', (source) => {
    expect(found('shared/a.ts', source)).toEqual([]);
  });

  test('boundaries: every form of import is seen', () => {
    const code = `import a, { b } from './1.ts';
import type { C } from "./2.ts";
export * from './3.ts';
export { d } from './4.ts';
import './5.ts';
const e = await import('./6.ts');
const f = require('./7.ts');
import json from './8.json' with { type: 'json' };`;
    expect([...importsOf(code)].sort()).toEqual(
      [1, 2, 3, 4, 5, 6, 7]
        .map((i) => `./${i}.ts`)
        .concat('./8.json')
        .sort(),
    );
  });
});
