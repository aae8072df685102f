import { setTimeout as sleep } from 'node:timers/promises';
import { KmsError } from '../../../shared/errors.ts';

const TIMEOUT_MS = 60_000;
const POLL_MS = 50;

/** @param what is waited for, in words @throws {KmsError} TIMEOUT */
export async function eventually(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + TIMEOUT_MS;
  while (!(await holds())) {
    if (performance.now() > deadlineMs)
      throw new KmsError('TIMEOUT', `waited ${TIMEOUT_MS / 1000} s: ${what}`);
    await sleep(POLL_MS);
  }
}
