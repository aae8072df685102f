import type { TLSSocket } from 'node:tls';
import { Code, ConnectError } from '@connectrpc/connect';
import { MAX_DOCUMENT_BYTES } from '../../shared/attestation/document.ts';
import { type NodeTrust, type VerifiedNode, verifyNode } from '../../shared/attestation/node-evidence.ts';
import { codeOf, KmsError } from '../../shared/errors.ts';
import type { PartyId } from '../../shared/ids.ts';
import type { Log } from '../../shared/log.ts';
import type { Hashes, Rng } from '../../shared/primitives.ts';
import { scopeName } from '../../shared/sealing/scope.ts';
import { stateRecordCodec } from '../../shared/sealing/state-record.ts';
import { encode } from '../../shared/wire/codec.ts';
import { BootService } from '../../shared/wire/generated/kms/v1/boot_pb.js';
import type { Recollection } from '../membership/peer-memory.ts';
import { toFault } from './fault.ts';
import { grpcServer } from './http2.ts';

export interface BootServerOptions {
  readonly trust: NodeTrust;
  readonly hashes: Hashes;
  readonly rng: Rng;
  /** What this node keeps for that member. */
  readonly recall: (party: PartyId) => Promise<Recollection>;
  /** The member has been answered: it is about to come up. */
  readonly onRecalled: (party: PartyId) => void;
  readonly log: Log;
}

export const BOOT_NONCE_BYTES = 32;
const NOTHING = new Uint8Array(0);
/** A member that boots asks a few times at most. */
const LIFE_MS = 30_000;

/**
 * Answers a member that has not unsealed: what this node keeps for it, once it has shown a document with a nonce drawn a moment
 * ago, of an allowed image of this network, for the TLS key and boot key of this very connection.
 */
export function serveBoot(
  party: PartyId,
  socket: TLSSocket,
  node: VerifiedNode,
  options: BootServerOptions,
): void {
  const { trust, hashes, rng, recall, onRecalled, log } = options;
  let nonce: Uint8Array | undefined;
  const server = grpcServer({
    routes: (router) => {
      router.service(BootService, {
        challenge() {
          nonce = rng(BOOT_NONCE_BYTES);
          return { nonce };
        },

        async recall({ document }) {
          try {
            const asked = nonce;
            nonce = undefined;
            if (asked === undefined) throw new KmsError('BAD_INPUT', 'a recall follows a challenge');
            if (document.length > MAX_DOCUMENT_BYTES)
              throw new KmsError('TOO_LARGE', 'the document is too large');
            const { identity, bootKey, spki } = node;
            await verifyNode(
              hashes,
              trust,
              { identity, bootKey, spki, document },
              { kind: 'nonce', nonce: asked },
            );
            const { state, shares } = await recall(party);
            log('info', 'recalled', { party, count: shares.length });
            onRecalled(party);
            socket.once('close', () => {
              for (const { share } of shares) share.fill(0);
            });
            return {
              state: state === undefined ? NOTHING : encode(stateRecordCodec, state),
              shares: shares.map(({ scope, share }) => ({ scope: scopeName(scope), share })),
            };
          } catch (error) {
            log('warn', 'recall-refused', { party, code: codeOf(error) });
            throw toFault(error);
          }
        },
      });
    },
    readMaxBytes: MAX_DOCUMENT_BYTES + 1024,
    windowBytes: 64 * 1024,
    maxConcurrentStreams: 2,
    maxRequests: 2,
    refusal: () => new ConnectError('one request at a time', Code.ResourceExhausted),
  });
  const end = setTimeout(() => socket.destroy(), LIFE_MS).unref();
  socket.once('close', () => clearTimeout(end));
  server.serve(socket);
}
