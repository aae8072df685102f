import { isBuiltin } from 'node:module';
import { posix } from 'node:path';

/** Which zones a zone's files may import from; infra/ and test/ are tools and may use any but test/ (style.md). */
const ARROWS: Readonly<Record<string, readonly string[]>> = {
  shared: ['shared'],
  enclave: ['enclave', 'shared'],
  parent: ['parent', 'shared'],
  client: ['client', 'shared'],
  gateway: ['gateway', 'shared'],
  infra: ['infra', 'shared', 'enclave', 'parent', 'client', 'gateway'],
  test: ['test', 'infra', 'shared', 'enclave', 'parent', 'client', 'gateway'],
};

/**
 * Files, and folders by their last slash, with an arrow of their own. The connector of the parent follows and pays on chains as
 * relayers do, and so do clients: the adapter is as untrusted as all of them. A coprocessor evaluates with the same node-seal as users encrypt with.
 */
const EXCEPTIONS: Readonly<Record<string, string>> = {
  'parent/': 'gateway/adapter/',
  'client/gateway/': 'gateway/adapter/',
  'gateway/coprocessor/': 'client/seal/',
  'client/cli/net.ts': 'infra/local/',
  'client/cli/eif-build.ts': 'infra/eif/',
  'client/cli/eif-inspect.ts': 'infra/eif/',
  'client/cli/eif-measure.ts': 'infra/eif/',
  'client/cli/eif-sign.ts': 'infra/eif/',
};

/** Pure packages, which run in an enclave and in a browser alike. */
const SHARED_PACKAGES: readonly string[] = [
  '@bufbuild/protobuf',
  '@hpke/core',
  '@hpke/hybridkem-x-wing',
  '@noble/curves',
  '@noble/hashes',
  '@peculiar/x509',
  'reflect-metadata',
];

/** Ambient time, randomness, input and output, which shared/ takes as arguments. */
const AMBIENT = new RegExp(
  [
    String.raw`\b(?:process|console|performance|Buffer|globalThis|require)\b(?!\s*:)`,
    String.raw`\bset(?:Timeout|Interval|Immediate)\b`,
    String.raw`\bDate\.now\b|\bDate\s*\(\s*\)`,
    String.raw`\bMath\.random\b|\b(?:getRandomValues|randomUUID|generateKey)\s*\(`,
    String.raw`\bimport\.meta\b`,
  ].join('|'),
  'g',
);

export interface SourceFile {
  /** From the root of the repository, with slashes. */
  readonly path: string;
  readonly source: string;
}

/** What package.json says about names that are no paths. */
export interface PackageNames {
  /** Packages installed for users. */
  readonly dependencies: Readonly<Record<string, string>>;
  /** Subpath imports (#name): a file for every build condition. */
  readonly imports: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

/** Arrows and ambient names that break the rules, one line each. */
export function violations({ path, source }: SourceFile, names: PackageNames): readonly string[] {
  const zone = path.split('/')[0] ?? '';
  const code = withoutComments(source);
  const problems = importsOf(code).flatMap((specifier) => {
    if (specifier.startsWith('.')) return fileProblem(path, zone, specifier);
    const aliased = names.imports[specifier];
    // Whatever the build condition, the arrow holds.
    if (aliased !== undefined) return Object.values(aliased).map((file) => targetProblem(path, zone, file));
    return packageProblem(zone, specifier, Object.keys(names.dependencies));
  });
  const found = problems.flatMap((problem) => (problem === undefined ? [] : `${path}: ${problem}`));
  // A test may compute what it imports.
  if (zone !== 'test' && COMPUTED_IMPORT.test(code)) found.push(`${path}: imports something computed`);
  if (zone !== 'shared') return found;
  const ambient = [...withoutStrings(code).matchAll(AMBIENT)].map(([name]) => `${path}: uses ${name}`);
  return [...found, ...ambient];
}

/** What a file imports: statically, dynamically, as a type, or to export it again. */
export function importsOf(code: string): readonly string[] {
  const fromClauses = code.matchAll(/\b(?:import|export)\b[^'"`;()]*?\bfrom\s*(['"])(.+?)\1/g);
  const bare = code.matchAll(/\bimport\s*(['"])(.+?)\1/g);
  const calls = code.matchAll(/\b(?:import|require)\s*\(\s*(['"])(.+?)\1/g);
  return [...fromClauses, ...bare, ...calls].map((match) => match[2] ?? '');
}

function fileProblem(path: string, zone: string, specifier: string): string | undefined {
  return targetProblem(path, zone, posix.join(posix.dirname(path), specifier));
}

/** @param file from the root of the repository */
function targetProblem(path: string, zone: string, file: string): string | undefined {
  const target = posix.normalize(file);
  const isExcepted = Object.entries(EXCEPTIONS).some(
    ([from, to]) => (from.endsWith('/') ? path.startsWith(from) : path === from) && target.startsWith(to),
  );
  if (isExcepted) return undefined;
  if (zone === 'test' && target === 'package.json') return undefined;
  return ARROWS[zone]?.includes(target.split('/')[0] ?? '') ? undefined : `imports ${target}`;
}

function packageProblem(
  zone: string,
  specifier: string,
  dependencies: readonly string[],
): string | undefined {
  if (isBuiltin(specifier)) return zone === 'shared' ? `imports ${specifier}` : undefined;
  if (zone === 'infra' || zone === 'test') return undefined;
  const name = specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
  const allowed = zone === 'shared' ? SHARED_PACKAGES : dependencies;
  return allowed.includes(name) ? undefined : `imports the package ${name}`;
}

const COMPUTED_IMPORT = /\bimport\s*\(\s*[^'"\s]/;

const TOKENS = /\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`/g;

function withoutComments(source: string): string {
  return source.replace(TOKENS, (token) => (token.startsWith('/') ? ' ' : token));
}

/** Template literals keep what they compute. */
function withoutStrings(code: string): string {
  return code.replace(TOKENS, (token) => {
    if (!token.startsWith('`')) return "''";
    return [...token.matchAll(/\$\{([^}]*)\}/g)].map((match) => match[1]).join(' ');
  });
}
