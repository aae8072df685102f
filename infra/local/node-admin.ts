import { createConnection, type Socket } from 'node:net';
import { ConnectError, createClient } from '@connectrpc/connect';
import { grpcOver } from '../../enclave/net/http2.ts';
import { connectTls } from '../../enclave/net/tls.ts';
import { nodePrimitives } from '../../enclave/primitives.ts';
import { parseAddress } from '../../shared/address.ts';
import { NO_NETWORK } from '../../shared/attestation/certificate.ts';
import { KmsError } from '../../shared/errors.ts';
import { type Digest, digest } from '../../shared/ids.ts';
import { equalBytes, toHex } from '../../shared/wire/bytes.ts';
import { FaultSchema, NodeService } from '../../shared/wire/generated/kms/v1/node_pb.js';

export interface NodeCard {
  /** Ed25519 public key; the TLS session proved it. */
  readonly identity: Uint8Array;
  /** Undefined before the node has joined. */
  readonly networkId: Digest | undefined;
  readonly phase: string;
  readonly connectedPeers: readonly number[];
}

const CALL_TIMEOUT_MS = 10_000;

/** @param networkId of the network it belongs to, NO_NETWORK before. @throws {KmsError} UNAVAILABLE, TIMEOUT, BAD_PEER */
export async function describeNode(address: string, networkId: Digest = NO_NETWORK): Promise<NodeCard> {
  return calling(address, networkId, async (client, identity) => {
    const answer = await client.describe({});
    if (!equalBytes(answer.identity, identity)) {
      throw new KmsError('BAD_PEER', `the node at ${address} contradicts its certificate`);
    }
    const { phase, connectedPeers } = answer;
    const joined = answer.networkId.length === 0 ? undefined : digest(toHex(answer.networkId));
    return { identity, networkId: joined, phase, connectedPeers };
  });
}

/**
 * @param networkId of the network it belongs to already, NO_NETWORK before
 * @throws {KmsError} BAD_MANIFEST if the node refuses it; UNAVAILABLE, TIMEOUT, BAD_PEER
 */
export async function joinNode(
  address: string,
  manifest: Uint8Array,
  networkId: Digest = NO_NETWORK,
): Promise<void> {
  await calling(address, networkId, (client) => client.join({ manifest }));
}

async function calling<T>(
  address: string,
  networkId: Digest,
  call: (client: NodeClient, identity: Uint8Array) => Promise<T>,
): Promise<T> {
  const stream = await tcp(address);
  const { socket, identity } = await connectTls(stream, undefined, nodePrimitives, { networkId });
  try {
    const client = nodeClient(socket);
    return await call(client, identity);
  } catch (cause) {
    throw cause instanceof KmsError ? cause : refusal(address, cause);
  } finally {
    socket.destroy();
  }
}

/** What the node said about it, if it said anything. */
function refusal(address: string, cause: unknown): KmsError {
  const [fault] = ConnectError.from(cause).findDetails(FaultSchema);
  return fault?.code === 'BAD_MANIFEST'
    ? new KmsError('BAD_MANIFEST', `the node at ${address} refuses the manifest`, { cause })
    : new KmsError('UNAVAILABLE', `the node at ${address} does not serve`, { cause });
}

type NodeClient = ReturnType<typeof nodeClient>;

function nodeClient(socket: Parameters<typeof grpcOver>[0]) {
  return createClient(NodeService, grpcOver(socket, { defaultTimeoutMs: CALL_TIMEOUT_MS }));
}

function tcp(address: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ ...parseAddress(address), allowHalfOpen: false });
    socket.on('error', (cause) => reject(new KmsError('UNAVAILABLE', `${address} refuses`, { cause })));
    socket.once('connect', () => resolve(socket));
  });
}
