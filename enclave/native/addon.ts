import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { getSystemErrorName } from 'node:util';
import { KmsError } from '../../shared/errors.ts';

/** AF_VSOCK by context id and port, AF_UNIX by path. */
export type NativeAddress = { readonly cid: number; readonly port: number } | string;

declare const watchBrand: unique symbol;
/** Readiness of one descriptor on the event loop. */
export type NativeWatch = { readonly [watchBrand]: true };

/** Any context id: what an enclave listens on. */
export const ANY_CID = 0xffff_ffff;

export const READABLE = 1;
export const WRITABLE = 2;

/**
 * The functions of kms.c: system calls that never block. Every number is a result or, below 0, minus errno.
 */
export interface NativeAddon {
  /** A descriptor. */
  listen(address: NativeAddress, backlog: number): number;
  accept(descriptor: number): number;
  /** A descriptor, connected when it is writable and connectError() gives 0. */
  connect(address: NativeAddress): number;
  connectError(descriptor: number): number;
  /** Bytes read, 0 at the end. */
  read(descriptor: number, into: Uint8Array): number;
  /** Bytes written. */
  write(descriptor: number, bytes: Uint8Array, from: number): number;
  close(descriptor: number): number;
  /** At rest until interest(); keeps the process alive while it is interested. */
  watch(descriptor: number, onReady: (status: number, events: number) => void): NativeWatch | number;
  interest(watch: NativeWatch, events: number): number;
  /** Once, before close(). */
  unwatch(watch: NativeWatch): number;
  localCid(): number;
  /** One request to /dev/nsm, on a worker thread. */
  nsm(request: Uint8Array): Promise<Uint8Array | number> | number;
}

const NAMES: readonly (keyof NativeAddon)[] = [
  ...(['listen', 'accept', 'connect', 'connectError', 'read', 'write', 'close'] as const),
  ...(['watch', 'interest', 'unwatch', 'localCid', 'nsm'] as const),
];

/** Where an image has the addon: beside the bundle. */
export const IMAGE_ADDON: string = fileURLToPath(new URL('kms.node', import.meta.url));

/** @throws {KmsError} UNAVAILABLE if the file is missing or made for another machine */
export function loadAddon(path: string): NativeAddon {
  let addon: unknown;
  try {
    addon = createRequire(import.meta.url)(path);
  } catch (cause) {
    throw new KmsError('UNAVAILABLE', `the native layer ${path} cannot be loaded`, { cause });
  }
  if (!isAddon(addon)) throw new KmsError('UNAVAILABLE', `${path} is not the native layer`);
  return addon;
}

function isAddon(value: unknown): value is NativeAddon {
  if (typeof value !== 'object' || value === null) return false;
  const functions = new Map<string, unknown>(Object.entries(value));
  return NAMES.every((name) => typeof functions.get(name) === 'function');
}

/** EAGAIN: nothing to read, no room to write, or nobody to accept right now. */
export const AGAIN = -11;

/** The error of a failed system call, as node's own streams name it. @param errno negative */
export function systemError(call: string, errno: number): Error & { readonly code: string } {
  const code = getSystemErrorName(errno);
  return Object.assign(new Error(`${call}: ${code}`), { code, errno, syscall: call });
}
