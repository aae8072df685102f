import { createClient } from '@connectrpc/connect';
import { KmsError } from '../../shared/errors.ts';
import { HALF_BYTES } from '../../shared/sealing/half.ts';
import { scopeNamed } from '../../shared/sealing/scope.ts';
import { stateRecordCodec } from '../../shared/sealing/state-record.ts';
import { decode } from '../../shared/wire/codec.ts';
import { BootService } from '../../shared/wire/generated/kms/v1/boot_pb.js';
import type { Recollection } from '../membership/peer-memory.ts';
import { BOOT_NONCE_BYTES } from './boot-server.ts';
import { grpcOver } from './http2.ts';
import type { VerifiedSocket } from './tls.ts';

const TIMEOUT_MS = 5_000;

/**
 * Asks one member what it keeps for this node; the connection is over afterwards.
 * @param document one of this process, role boot, with that nonce
 * @throws {KmsError} BAD_ENCODING for an answer that is none; whatever the connection fails with otherwise
 */
export async function recallFrom(
  { socket }: VerifiedSocket,
  document: (nonce: Uint8Array) => Promise<Uint8Array>,
): Promise<Recollection> {
  try {
    const client = createClient(BootService, grpcOver(socket, { defaultTimeoutMs: TIMEOUT_MS }));
    const { nonce } = await client.challenge({});
    if (nonce.length !== BOOT_NONCE_BYTES)
      throw new KmsError('BAD_ENCODING', 'a challenge is a nonce of 32 bytes');
    const { state, shares } = await client.recall({ document: await document(nonce) });
    return {
      state: state.length === 0 ? undefined : decode(stateRecordCodec, state),
      shares: shares.map(({ scope, share }) => {
        if (share.length !== HALF_BYTES) throw new KmsError('BAD_ENCODING', 'a release share has 32 bytes');
        return { scope: scopeNamed(scope), share };
      }),
    };
  } finally {
    socket.destroy();
  }
}
