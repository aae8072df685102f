import { installedVersion, requireInstalled } from '../build/debian.ts';
import { BUILD_PACKAGES, LINKED_WITH, TOOLCHAIN } from './pins.ts';

/**
 * This machine compiles to the bytes that are measured.
 * @throws {Error} that names what is missing or has another version
 */
export function requireToolchain(): void {
  const wanted = { ...TOOLCHAIN, ...LINKED_WITH };
  requireInstalled([...BUILD_PACKAGES, ...Object.keys(wanted)]);
  const others = Object.entries(wanted).flatMap(([name, version]) => {
    const found = installedVersion(name);
    return found === version ? [] : [`${name} ${found}, not ${version}`];
  });
  if (others.length > 0) {
    throw new Error(
      `the image's measurement depends on its compilers, and this machine has ${others.join('; ')}. ` +
        'Build in a container of Debian 12 (Dockerfile.enclave), or install those versions.',
    );
  }
}

/** Nothing of the machine but its programs: no locale, no time zone, no settings of whoever builds. */
export function buildEnvironment(): NodeJS.ProcessEnv {
  return { PATH: '/usr/bin:/bin', HOME: '/', LC_ALL: 'C', TZ: 'UTC', SOURCE_DATE_EPOCH: '0' };
}
