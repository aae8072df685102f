import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Metafile } from 'esbuild';

const root = fileURLToPath(new URL('../../', import.meta.url));

/**
 * The three builds of the enclave, from one source. They differ in the files that `#platform` and `#roots` name
 * (package.json, "imports") and in nothing else; nothing outside the source selects between them.
 */
export type BundleClass = 'production' | 'lab' | 'mock';

export const bundleClasses: readonly BundleClass[] = ['production', 'lab', 'mock'];

/** What package.json's conditions are called; mock is what they default to. */
const conditions: Readonly<Record<BundleClass, readonly string[]>> = {
  production: ['kms-production'],
  lab: ['kms-lab'],
  mock: [],
};

export const BUNDLES: string = join(root, 'out/bundles');

export interface Bundle {
  /** The module's text. */
  readonly code: string;
  /** Paths relative to the repository, of what went in. */
  readonly metafile: Metafile;
}

/**
 * One file that runs on bare Node, readable: an auditor compares it with the source. The same source gives the same bytes,
 * wherever the repository lies.
 */
export async function bundleEnclave(
  of: BundleClass,
  repository: string = root,
  entry = 'enclave/main.ts',
): Promise<Bundle> {
  const result = await build({
    absWorkingDir: repository,
    entryPoints: [entry],
    bundle: true,
    write: false,
    metafile: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    // ECMAScript modules where a package has both: what is not used is left out, and nothing is required at run time.
    conditions: ['module', ...conditions[of]],
    mainFields: ['module', 'main'],
    alias: { '@aws-sdk/credential-provider-node': './enclave/aws/ambient-credentials.ts' },
    outfile: 'enclave.mjs',
    // Nor does V8 then keep it at two bytes a character.
    charset: 'ascii',
    legalComments: 'none',
    treeShaking: true,
    // Settings of the source tree's checker do not count, and no library takes a setting from the environment.
    tsconfigRaw: { compilerOptions: { verbatimModuleSyntax: true } },
    define: { 'process.env': 'NO_ENVIRONMENT' },
    banner: { js: 'const NO_ENVIRONMENT = Object.freeze({});' },
    sourcemap: false,
    logLevel: 'warning',
  });
  const [output] = result.outputFiles;
  if (output === undefined) throw new Error('esbuild gave no output');
  return { code: output.text, metafile: result.metafile };
}

/** Writes <directory>/<class>/enclave.mjs and metafile.json. */
export async function writeBundles(directory: string = BUNDLES, repository: string = root): Promise<void> {
  for (const of of bundleClasses) {
    const { code, metafile } = await bundleEnclave(of, repository);
    mkdirSync(join(directory, of), { recursive: true });
    writeFileSync(join(directory, of, 'enclave.mjs'), code);
    writeFileSync(join(directory, of, 'metafile.json'), `${JSON.stringify(metafile, undefined, 1)}\n`);
  }
}

if (import.meta.main) await writeBundles();
