import type { DebianPackage, DebianSource } from '../build/debian.ts';

/** What the lab is made of. None of it is in an image. */
export const QEMU: DebianSource = {
  package: 'qemu',
  version: '1:10.0.13+ds-0+deb13u1',
  files: [
    {
      name: 'qemu_10.0.13+ds-0+deb13u1.dsc',
      sha256: 'a426c892e5369058c3423816c8625bc8010bb5a58ece57261f62b64ee4d765ad',
    },
    {
      name: 'qemu_10.0.13+ds.orig.tar.xz',
      sha256: '6a0888e806c2ffc0c5f0733e974f9aea55491950d3c47c98669c8b236dde59ae',
    },
    {
      name: 'qemu_10.0.13+ds-0+deb13u1.debian.tar.xz',
      sha256: 'da73c092f5684c551b0334d675eb16a3dec91e1edea94759cfb1102fa4a0364e',
    },
  ],
};

/** The other side of the guest's vsock device, as a process. */
export const VSOCK_BACKEND: DebianPackage = {
  package: 'vhost-device-vsock',
  version: '0.3.0-2',
  name: 'vhost-device-vsock_0.3.0-2_amd64.deb',
  sha256: 'fd36382419cc174f00d9b1691486b581e13e8c1168dc339b86b2a65180a29ce7',
};

/** QEMU wants a newer one than Debian 12 has. */
export const MESON: DebianPackage = {
  package: 'meson',
  version: '1.7.0-1',
  name: 'meson_1.7.0-1_all.deb',
  sha256: 'e92d04e60e784336883d537755d09b7dcb856809fa318a0931df3898e84ded95',
};

/** To build QEMU and to run it. */
export const LAB_PACKAGES: readonly string[] = [
  ...[
    'gcc',
    'libc6-dev',
    'make',
    'dpkg-dev',
    'xz-utils',
    'patch',
    'python3',
    'python3-setuptools',
    'ninja-build',
  ],
  ...['pkg-config', 'libcbor-dev', 'libgnutls28-dev', 'libglib2.0-dev', 'libpixman-1-dev', 'libfdt-dev'],
  ...['zlib1g-dev', 'flex', 'bison', 'seabios', 'qemu-system-data'],
];
