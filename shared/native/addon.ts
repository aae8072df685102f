/**
 * What the C addon enclave/native/kms.c offers. Enclave and parent both load it and neither may import the other, so that
 * what it takes to make streams of it is here; where the file lies, timers and node's streams are the caller's.
 */

/** AF_VSOCK by context id and port, AF_UNIX by path. */
export type NativeAddress = { readonly cid: number; readonly port: number } | string;

declare const watchBrand: unique symbol;
/** Readiness of one descriptor on the event loop. */
export type NativeWatch = { readonly [watchBrand]: true };

/** Any context id: what an enclave listens on. */
export const ANY_CID = 0xffff_ffff;

export const READABLE = 1;
export const WRITABLE = 2;

/** System calls that never block. Every number is a result or, below 0, minus errno. */
export interface NativeAddon {
  /** A descriptor. */
  listen(address: NativeAddress, backlog: number): number;
  accept(descriptor: number): number;
  /** A descriptor, connected when it is writable and connectError() gives 0. */
  connect(address: NativeAddress): number;
  connectError(descriptor: number): number;
  /** The context id at the other end; an error for AF_UNIX. */
  peerCid(descriptor: number): number;
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
  ...(['peerCid', 'watch', 'interest', 'unwatch', 'localCid', 'nsm'] as const),
];

/** Whether what was loaded has the functions of this version of kms.c. */
export function isNativeAddon(value: unknown): value is NativeAddon {
  if (typeof value !== 'object' || value === null) return false;
  const functions = new Map<string, unknown>(Object.entries(value));
  return NAMES.every((name) => typeof functions.get(name) === 'function');
}

/** EAGAIN: nothing to read, no room to write, or nobody to accept right now. */
export const AGAIN = -11;
/** ECONNABORTED: that peer gave up, the next may not have. */
export const ABORTED = -103;
export const CONNECTION_RESET = -104;
export const TIMED_OUT = -110;
export const CANCELED = -125;

/** The error of a failed system call, as node's own streams name it. @param errno negative */
export type SystemError = (call: string, errno: number) => Error & { readonly code: string };
