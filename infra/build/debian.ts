import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cacheDirectory } from './cache.ts';

/** One file of Debian's archive. What it is taken for depends on its hash alone, not on where it came from. */
export interface DebianFile {
  readonly name: string;
  /** SHA-256, 64 hex digits. */
  readonly sha256: string;
}

/** A binary package, exactly. */
export interface DebianPackage extends DebianFile {
  readonly package: string;
  readonly version: string;
}

/** A source package: the .dsc file first. */
export interface DebianSource {
  readonly package: string;
  readonly version: string;
  readonly files: readonly DebianFile[];
}

const SUITES = ['bookworm', 'trixie', 'forky'];
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

/**
 * The path of a package file with the pinned hash: from the cache, else from the mirror that apt on this machine uses already.
 * @throws {Error} that says how to get it, if the mirror has it no more
 */
export function fetchPackage(wanted: DebianPackage): string {
  const have = cached(wanted);
  if (have !== undefined) return have;
  fetchInto([wanted], ['download', '-q', `${wanted.package}=${wanted.version}`], describe(wanted));
  return pathOf(wanted);
}

/** The path of the source's .dsc file, its other files beside it. @throws {Error} as fetchPackage */
export function fetchSource(wanted: DebianSource): string {
  const [dsc] = wanted.files;
  if (dsc === undefined) throw new Error('a source package has files');
  if (wanted.files.some((file) => cached(file) === undefined)) {
    const names = ['source', '--download-only', '-q', `${wanted.package}=${wanted.version}`];
    fetchInto(wanted.files, names, describe(wanted));
  }
  return pathOf(dsc);
}

/** Unpacks a package file into a directory. */
export function unpackPackage(path: string, into: string): void {
  mkdirSync(into, { recursive: true });
  execFileSync('dpkg-deb', ['--extract', path, into], { stdio: ['ignore', 'inherit', 'inherit'] });
}

/** Version of an installed package; undefined if there is none. */
export function installedVersion(name: string): string | undefined {
  try {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg's own notation
    const format = '${db:Status-Status} ${Version}';
    const [status, version] = execFileSync('dpkg-query', ['-W', '-f', format, name], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).split(' ');
    return status === 'installed' ? version : undefined;
  } catch {
    return undefined;
  }
}

/** Packages that this machine must have to build. @throws {Error} with the command that installs them */
export function requireInstalled(names: readonly string[]): void {
  const missing = names.filter((name) => installedVersion(name) === undefined);
  if (missing.length === 0) return;
  const command = ['install', '-qy', '--no-install-recommends', ...missing];
  if (process.getuid?.() !== 0) {
    throw new Error(
      `this machine lacks packages; as root: apt-get update && apt-get ${command.filter((word) => word !== '-qy').join(' ')}`,
    );
  }
  const options = { env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }, stdio: 'inherit' } as const;
  execFileSync('apt-get', ['update', '-q'], options);
  execFileSync('apt-get', command, options);
}

function directory(): string {
  const path = join(cacheDirectory(), 'packages');
  mkdirSync(path, { recursive: true });
  return path;
}

function pathOf({ name }: DebianFile): string {
  return join(directory(), name);
}

/** The path of a file with this hash; undefined if there is none. @throws {Error} for one with another hash */
function cached(file: DebianFile): string | undefined {
  const path = pathOf(file);
  if (!existsSync(path)) return undefined;
  const found = createHash('sha256').update(readFileSync(path)).digest('hex');
  if (found === file.sha256) return path;
  throw new Error(`${path} has SHA-256 ${found}, not ${file.sha256}: remove it`);
}

function describe({
  package: name,
  version,
}: {
  readonly package: string;
  readonly version: string;
}): string {
  return `${name} ${version}`;
}

function fetchInto(files: readonly DebianFile[], command: readonly string[], what: string): void {
  const scratch = mkdtempSync(join(tmpdir(), 'kms-apt-'));
  try {
    const apt = privateApt(scratch);
    apt(['update', '-q']);
    apt(command);
    for (const { name, sha256 } of files) {
      const bytes = readFileSync(join(scratch, name));
      const found = createHash('sha256').update(bytes).digest('hex');
      if (found !== sha256) throw new Error(`the mirror's ${name} has SHA-256 ${found}, not ${sha256}`);
      const path = join(directory(), name);
      writeFileSync(`${path}.tmp`, bytes);
      renameSync(`${path}.tmp`, path);
    }
  } catch (cause) {
    const list = files.map(({ name, sha256 }) => `  ${name} (SHA-256 ${sha256})`).join('\n');
    throw new Error(
      `cannot get ${what} from this machine's Debian mirror. Mirrors drop old versions; Debian's snapshot archive keeps ` +
        `them, and releases carry them. Put into ${directory()}:\n${list}\n`,
      { cause },
    );
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** apt with a root of its own, so that the machine's configuration stays as it is while newer suites are looked into. */
function privateApt(scratch: string): (args: readonly string[]) => void {
  const mirror = mirrorOf();
  for (const path of [
    'etc/apt.conf.d',
    'etc/preferences.d',
    'state/lists/partial',
    'cache/archives/partial',
  ]) {
    mkdirSync(join(scratch, path), { recursive: true });
  }
  const lines = SUITES.flatMap((suite) =>
    ['deb', 'deb-src'].map((kind) => `${kind} [signed-by=${KEYRING}] ${mirror} ${suite} main\n`),
  );
  writeFileSync(join(scratch, 'etc/sources.list'), lines.join(''));
  writeFileSync(join(scratch, 'status'), '');
  const configuration = join(scratch, 'apt.conf');
  writeFileSync(
    configuration,
    `Dir::State "${scratch}/state"; Dir::State::status "${scratch}/status"; Dir::Cache "${scratch}/cache";\n` +
      `Dir::Etc "${scratch}/etc"; APT::Architecture "amd64"; APT::Sandbox::User "root";\n` +
      // How fresh the mirror's lists are does not matter: hashes are pinned.
      'Acquire::Check-Valid-Until "false";\n',
  );
  return (args) => {
    const env = { ...process.env, APT_CONFIG: configuration };
    execFileSync('apt-get', args, { cwd: scratch, env, stdio: ['ignore', 'ignore', 'inherit'] });
  };
}

/** The Debian mirror in the machine's own configuration. */
function mirrorOf(): string {
  const format = ['indextargets', '--format', '$(REPO_URI)', 'Created-By: Packages'];
  const uris = execFileSync('apt-get', format, { encoding: 'utf8' }).split('\n');
  const found = uris.find((uri) => /\/debian\/?$/.test(uri));
  if (found === undefined) throw new Error('apt on this machine names no Debian mirror');
  return found;
}
