import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/**
 * `npm ci` refuses a lockfile without an entry for every optional dependency, and `npm install` leaves out those that its
 * registry does not serve: binaries for other platforms, mostly. This adds them, with the platform that their names say, so that
 * they are never fetched elsewhere. Run it after every `npm install` (npm run lockfile).
 */
interface Entry {
  version?: string;
  dev?: boolean;
  optional?: boolean;
  os?: string[];
  cpu?: string[];
  libc?: string[];
  optionalDependencies?: Record<string, string>;
}

interface Lockfile {
  packages: Record<string, Entry>;
}

const LOCKFILE = fileURLToPath(new URL('../../package-lock.json', import.meta.url));
const systems = [
  'android',
  'darwin',
  'linux',
  'win32',
  'freebsd',
  'openbsd',
  'netbsd',
  'sunos',
  'aix',
  'openharmony',
];
const processors = [
  'arm64',
  'x64',
  'arm',
  'ia32',
  'riscv64',
  's390x',
  'ppc64',
  'loong64',
  'mips64el',
  'wasm32',
];

/** Optional dependencies that have no entry, as [name, version range, is a development dependency]. */
export function missingEntries({ packages }: Lockfile): (readonly [string, string, boolean])[] {
  const known = new Set(Object.keys(packages).map((path) => path.split('node_modules/').at(-1)));
  return Object.values(packages).flatMap((entry) =>
    Object.entries(entry.optionalDependencies ?? {})
      .filter(([name]) => !known.has(name))
      .map(([name, range]) => [name, range, entry.dev === true] as const),
  );
}

function placeholder(name: string, range: string, isDev: boolean): Entry {
  const parts = name.split(/[-/]/).map((part) => (part === 'armv7' ? 'arm' : part));
  const os = systems.filter((one) => parts.includes(one)).slice(0, 1);
  const cpu = processors.filter((one) => parts.includes(one)).slice(0, 1);
  return {
    version: range.replace(/^[^0-9]*/, ''),
    ...(isDev ? { dev: true } : {}),
    optional: true,
    ...(os.length > 0 ? { os } : {}),
    ...(cpu.length > 0 ? { cpu } : {}),
    ...(parts.includes('musl') ? { libc: ['musl'] } : {}),
  };
}

export function readLockfile(): Lockfile {
  return JSON.parse(readFileSync(LOCKFILE, 'utf8')) as Lockfile;
}

if (import.meta.main) {
  const lockfile = readLockfile();
  for (const [name, range, isDev] of missingEntries(lockfile)) {
    lockfile.packages[`node_modules/${name}`] = placeholder(name, range, isDev);
  }
  const sorted = Object.entries(lockfile.packages).sort(([a], [b]) => (a < b ? -1 : 1));
  writeFileSync(
    LOCKFILE,
    `${JSON.stringify({ ...lockfile, packages: Object.fromEntries(sorted) }, null, 2)}\n`,
  );
}
