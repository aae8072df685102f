import type { ConnectRouter } from '@connectrpc/connect';
import { KmsError } from '../../shared/errors.ts';
import { MAX_BATCH_LEAVES } from '../../shared/gateway/batch.ts';
import { MAX_CLAIM_BYTES } from '../../shared/gateway/policy/claim-codec.ts';
import { MAX_EVIDENCE_BYTES } from '../../shared/gateway/proof/evidence.ts';
import { type KeyId, keyId, partyId } from '../../shared/ids.ts';
import { MAX_GENESIS_BYTES } from '../../shared/network/genesis.ts';
import { MAX_SIGNED_CONFIGURATION_BYTES } from '../../shared/network/signed-configuration.ts';
import { fromHex, toHex } from '../../shared/wire/bytes.ts';
import { NodeService } from '../../shared/wire/generated/kms/v1/node_pb.js';
import { MAX_ENVELOPE_BYTES, type NodeApi, USER_KEY_BYTES } from '../api.ts';
import { toFault } from './fault.ts';
import { type GrpcServer, grpcServer } from './http2.ts';
import { Slots } from './slots.ts';

export interface ApiLimits {
  /** All requests of all clients at once. */
  readonly maxRequests: number;
  /** Requests that compute: key generations, decryptions. */
  readonly maxKeyGenerations: number;
  readonly maxDecryptions: number;
  readonly maxRequestsPerConnection: number;
  /** Of all messages together that callers have sent and that are not answered yet. */
  readonly maxHeldBytes: number;
  /** How long a caller may take to send its message. */
  readonly bodyMs: number;
}

export const API_LIMITS: ApiLimits = {
  maxRequests: 32,
  maxKeyGenerations: 2,
  maxDecryptions: 32,
  maxRequestsPerConnection: 32,
  maxHeldBytes: 128 << 20,
  bodyMs: 60_000,
};

/** Services for clients beside NodeService. */
export interface FurtherRoutes {
  readonly routes: (router: ConnectRouter) => void;
  /** Of a call's message. @param path of the call; undefined: as of a method with a few short fields */
  readonly maxBytes: (path: string) => number | undefined;
}

const NOTHING: Uint8Array = new Uint8Array(0);
const LEAF_BYTES = 32;
const KEY_CHUNK_BYTES = 1024 * 1024;
/** The gateway's limit for the envelopes of one request (Limits.MAX_CIPHERTEXT_BYTES), evidence, claim and the fields around them. */
const MAX_ENVELOPES_BYTES = 16 << 20;
const FIELD_BYTES = 64 * 1024;
const COMMAND_BYTES = MAX_EVIDENCE_BYTES + MAX_CLAIM_BYTES + FIELD_BYTES;
const READ_MAX_BYTES = MAX_ENVELOPES_BYTES + COMMAND_BYTES;
/** Thousands of configurations, of some kilobytes each. */
const JOIN_BYTES = 8 << 20;
const MAX_FIELDS = 4096 + 16;
/** By method; what is not here has a few short fields. */
const MAX_BYTES: ReadonlyMap<string, number> = new Map([
  [NodeService.method.join.name, JOIN_BYTES],
  [NodeService.method.answer.name, READ_MAX_BYTES],
  [NodeService.method.carryOut.name, COMMAND_BYTES],
]);
const WINDOW_BYTES = 1024 * 1024;

/** Serves NodeService to client sockets, and what is given beside it. */
export function apiServer(
  api: NodeApi,
  limits: ApiLimits = API_LIMITS,
  further?: FurtherRoutes | undefined,
): GrpcServer {
  return grpcServer({
    routes(router) {
      nodeRoutes(router, api, limits);
      further?.routes(router);
    },
    readMaxBytes: READ_MAX_BYTES,
    windowBytes: WINDOW_BYTES,
    maxConcurrentStreams: limits.maxRequestsPerConnection,
    maxRequests: limits.maxRequests,
    refusal: () => toFault(new KmsError('BUSY', 'too many requests')),
    bodies: {
      maxBytes: (path) =>
        further?.maxBytes(path) ?? MAX_BYTES.get(path.slice(path.lastIndexOf('/') + 1)) ?? FIELD_BYTES,
      totalBytes: limits.maxHeldBytes,
      maxFields: MAX_FIELDS,
      withinMs: limits.bodyMs,
    },
  });
}

function nodeRoutes(router: ConnectRouter, api: NodeApi, limits: ApiLimits): void {
  const generations = new Slots(limits.maxKeyGenerations);
  const decryptions = new Slots(limits.maxDecryptions);

  router.service(NodeService, {
    describe: () =>
      faulting(async () => {
        const { identity, bootKey, network, connectedPeers, keyIds, phase, reason, enrolment } =
          await api.describe();
        return {
          identity,
          networkId: network === undefined ? NOTHING : fromHex(network.id),
          party: network?.party ?? 0,
          epoch: network?.epoch ?? 0,
          configuration: network?.configuration.number ?? 0,
          configurationDigest: network === undefined ? NOTHING : fromHex(network.configuration.digest),
          connectedPeers: [...connectedPeers],
          keyIds: keyIds.map(fromHex),
          phase,
          enrolment: enrolment ?? NOTHING,
          bootKey,
          reason: reason ?? '',
        };
      }),

    join: ({ genesis, configurations, party: asked }) =>
      faulting(async () => {
        atMost(genesis, MAX_GENESIS_BYTES);
        for (const one of configurations) atMost(one, MAX_SIGNED_CONFIGURATION_BYTES);
        const self = asked === 0 ? {} : { party: partyId(asked) };
        const { id, party, configuration } = await api.join({ genesis, configurations, ...self });
        return { networkId: fromHex(id), party, configuration: configuration.number };
      }),

    listKeys: () => faulting(async () => ({ keyIds: (await api.listKeys()).map(fromHex) })),

    async *getKey(request, { signal }) {
      try {
        const record = await api.getKey(readKeyId(request.keyId), signal);
        for (let at = 0; at < record.length; at += KEY_CHUNK_BYTES) {
          yield { chunk: record.subarray(at, at + KEY_CHUNK_BYTES) };
        }
      } catch (error) {
        throw toFault(error);
      }
    },

    answer: ({ claim, evidence, envelopes, userKey }, { signal }) =>
      faulting(async () => {
        using _slot = decryptions.take();
        atMost(claim, MAX_CLAIM_BYTES);
        atMost(evidence, MAX_EVIDENCE_BYTES);
        for (const envelope of envelopes) atMost(envelope, MAX_ENVELOPE_BYTES);
        if (userKey.length !== 0) exactly(userKey, USER_KEY_BYTES);
        const { epoch, body, words } = await api.answer({ claim, evidence, envelopes, userKey }, signal);
        return { epoch, body, words: [...words] };
      }),

    signBatch: ({ epoch, leaves }, { signal }) =>
      faulting(async () => {
        using _slot = decryptions.take();
        if (leaves.length > MAX_BATCH_LEAVES) throw new KmsError('TOO_LARGE', 'too many results');
        for (const leaf of leaves) exactly(leaf, LEAF_BYTES);
        return { words: [...(await api.signBatch({ epoch, leaves }, signal))] };
      }),

    signAnchor: () =>
      faulting(async () => {
        const { anchor, signature } = await api.signAnchor();
        return { ...anchor, signature };
      }),

    async *carryOut({ claim, evidence }, { signal }) {
      try {
        using _slot = generations.take();
        atMost(claim, MAX_CLAIM_BYTES);
        atMost(evidence, MAX_EVIDENCE_BYTES);
        for await (const step of api.carryOut({ claim, evidence }, signal)) {
          yield step.kind === 'progress'
            ? { phase: step.phase, done: step.done, total: step.total }
            : { phase: 'finished', done: 1, total: 1, statement: step.statement, signature: step.signature };
        }
      } catch (error) {
        throw toFault(error);
      }
    },
  });
}

async function faulting<T>(answer: () => Promise<T>): Promise<T> {
  try {
    return await answer();
  } catch (error) {
    throw toFault(error);
  }
}

function readKeyId(bytes: Uint8Array): KeyId {
  exactly(bytes, 32);
  return keyId(toHex(bytes));
}

function exactly(bytes: Uint8Array, sizeBytes: number): void {
  if (bytes.length !== sizeBytes) throw new KmsError('BAD_INPUT', `expected ${sizeBytes} bytes`);
}

function atMost(bytes: Uint8Array, sizeBytes: number): void {
  if (bytes.length > sizeBytes) throw new KmsError('TOO_LARGE', `at most ${sizeBytes} bytes`);
}
