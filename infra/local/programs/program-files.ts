import { join } from 'node:path';

/** In the network's state directory. */
export const PROGRAMS_DIRECTORY = 'programs';
export const ACCOUNTS_DIRECTORY = 'accounts';
export const GATEWAY_FILE = 'gateway.json';

/** Of one program: its configuration and what it keeps. @param directory the network's state directory */
export function programDirectory(directory: string, name: string): string {
  return join(directory, PROGRAMS_DIRECTORY, name);
}

/** @param name `operator-1`, `submitter`, `user`, `relayer`, `connector-1`, ... */
export function accountFile(directory: string, name: string): string {
  return join(directory, ACCOUNTS_DIRECTORY, `${name}.key`);
}
