import { setTimeout as sleep } from 'node:timers/promises';
import type { Answer } from './key-ring.ts';
import { ServiceError } from './service-error.ts';

/** What goes wrong with a request; for tests in the same process, nothing outside can ask for it. */
export type Fault =
  | { readonly kind: 'error'; readonly name: string; readonly status: number }
  | { readonly kind: 'slow'; readonly ms: number }
  /** The connection ends without an answer. */
  | { readonly kind: 'hang-up' }
  /** Alters what the service is asked. */
  | { readonly kind: 'request'; readonly change: (body: Record<string, unknown>) => Record<string, unknown> }
  /** Alters what the service answers. */
  | { readonly kind: 'answer'; readonly change: (answer: Answer) => Answer };

/** Asked once for every request that is signed. */
export type Faults = (operation: string) => Fault | undefined;

export class HangUp extends Error {}

/** Before the operation: waits, fails, or changes the body. */
export async function faultyBody(fault: Fault | undefined, body: Uint8Array): Promise<Uint8Array> {
  switch (fault?.kind) {
    case 'error':
      throw new ServiceError(fault.name, 'injected', fault.status);
    case 'slow':
      await sleep(fault.ms);
      return body;
    case 'hang-up':
      throw new HangUp();
    case 'request':
      return Buffer.from(JSON.stringify(fault.change(JSON.parse(Buffer.from(body).toString('utf8')))));
    default:
      return body;
  }
}

export function faultyAnswer(fault: Fault | undefined, answer: Answer): Answer {
  return fault?.kind === 'answer' ? fault.change(answer) : answer;
}
