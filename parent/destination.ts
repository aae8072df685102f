import type { Duplex } from 'node:stream';
import type { Address } from '../shared/address.ts';
import { readEgressLine } from '../shared/egress.ts';
import { KmsError } from '../shared/errors.ts';
import { type ParentService, parentServices } from '../shared/parent-service.ts';
import { TELEMETRY } from '../shared/telemetry.ts';
import { utf8 } from '../shared/wire/bytes.ts';

/** What the first line of an egress stream asks for: a connection to an address, or the parent itself. */
export type Destination =
  | { readonly kind: 'address'; readonly text: string; readonly address: Address }
  | { readonly kind: 'telemetry' }
  | { readonly kind: 'service'; readonly service: ParentService };

const named: readonly (readonly [Buffer, Destination])[] = [
  [lineOf(TELEMETRY), { kind: 'telemetry' }],
  ...parentServices.map((service) => [lineOf(service), { kind: 'service', service }] as const),
];

/**
 * Reads the first line; what came behind it goes back into the stream, which is paused.
 * @throws {KmsError} BAD_INPUT, TOO_LARGE
 */
export function readDestination(stream: Duplex, timeoutMs: number): Promise<Destination> {
  return new Promise((resolve, reject) => {
    let received: Buffer = Buffer.alloc(0);
    const done = (settle: () => void): void => {
      clearTimeout(timer);
      stream.off('readable', read).off('close', closed);
      settle();
    };
    const fail = (error: unknown): void => done(() => reject(error));
    const closed = (): void => fail(new KmsError('BAD_INPUT', 'closed before it named an address'));
    const timer = setTimeout(() => fail(new KmsError('BAD_INPUT', 'no address in time')), timeoutMs);
    const read = (): void => {
      const chunk: unknown = stream.read();
      if (!Buffer.isBuffer(chunk)) return;
      received = Buffer.concat([received, chunk]);
      try {
        const found = destinationIn(received);
        if (found === undefined) return;
        done(() => {
          if (found.rest.length > 0) stream.unshift(Buffer.from(found.rest));
          resolve(found.destination);
        });
      } catch (error) {
        fail(error);
      }
    };
    stream.on('readable', read).once('close', closed);
  });
}

function destinationIn(
  received: Buffer,
): { readonly destination: Destination; readonly rest: Uint8Array } | undefined {
  for (const [line, destination] of named) {
    if (received.subarray(0, line.length).equals(line)) {
      return { destination, rest: received.subarray(line.length) };
    }
  }
  const line = readEgressLine(received);
  if (line === undefined) return undefined;
  const { text, address, rest } = line;
  return { destination: { kind: 'address', text, address }, rest };
}

function lineOf(name: string): Buffer {
  return Buffer.from(utf8(`${name}\n`));
}
