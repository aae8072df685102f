import { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TLSSocket } from 'node:tls';
import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { expect, test } from 'vitest';
import { grpcOver, grpcServer } from '../../../enclave/net/http2.ts';
import { BootService } from '../../../shared/wire/generated/kms/v1/boot_pb.js';

/** One end of a connection; what comes in is held back until nothing more has come for a while, then comes in one piece. */
class SlowEnd extends Duplex {
  other: SlowEnd | undefined;
  readonly #quietMs: number;
  #held: Buffer[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(quietMs: number) {
    super({ allowHalfOpen: false });
    this.#quietMs = quietMs;
  }

  arrive(chunk: Buffer): void {
    this.#held.push(chunk);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.push(Buffer.concat(this.#held.splice(0))), this.#quietMs);
  }

  override _read(): void {}

  override _write(chunk: Buffer, _: BufferEncoding, done: () => void): void {
    this.other?.arrive(Buffer.from(chunk));
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    clearTimeout(this.#timer);
    this.other?.push(null);
    done(error);
  }
}

/** Of a TLS socket HTTP/2 uses what any stream has. */
const asTls = (end: Duplex): TLSSocket => end as TLSSocket;

test('an answer that comes in one piece is read', async () => {
  const [client, server] = [new SlowEnd(30), new SlowEnd(0)];
  [client.other, server.other] = [server, client];
  const nonce = new Uint8Array(32).fill(7);
  grpcServer({
    routes: (router) => {
      router.service(BootService, {
        challenge: () => ({ nonce }),
        recall: () => {
          throw new ConnectError('none', Code.Unimplemented);
        },
      });
    },
    ...{ readMaxBytes: 1024, windowBytes: 64 * 1024, maxConcurrentStreams: 2, maxRequests: 2 },
    refusal: () => new ConnectError('busy', Code.ResourceExhausted),
  }).serve(asTls(server));
  try {
    const boot = createClient(BootService, grpcOver(asTls(client), { defaultTimeoutMs: 2_000 }));
    for (let i = 0; i < 3; i++) {
      expect((await boot.challenge({})).nonce).toEqual(nonce);
      await sleep(1);
    }
  } finally {
    client.destroy();
    server.destroy();
  }
});
