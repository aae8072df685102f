import { createConnection, type Socket } from 'node:net';
import { createClient } from '@connectrpc/connect';
import { faultOf, meaningOf } from '../../client/fault.ts';
import { grpcOver } from '../../enclave/net/http2.ts';
import { connectTls } from '../../enclave/net/tls.ts';
import { nodePrimitives } from '../../enclave/primitives.ts';
import { parseAddress } from '../../shared/address.ts';
import { NO_NETWORK } from '../../shared/attestation/certificate.ts';
import { type ErrorCode, KmsError } from '../../shared/errors.ts';
import { type Digest, digest } from '../../shared/ids.ts';
import type { ConfigurationChain } from '../../shared/network/chain.ts';
import { encodeGenesis } from '../../shared/network/genesis.ts';
import { encodeSignedConfiguration } from '../../shared/network/signed-configuration.ts';
import { equalBytes, toHex } from '../../shared/wire/bytes.ts';
import { NodeService } from '../../shared/wire/generated/kms/v1/node_pb.js';

export interface NodeCard {
  /** Ed25519 public key; the TLS session proved it. */
  readonly identity: Uint8Array;
  /** Undefined before the node has joined. */
  readonly networkId: Digest | undefined;
  /** Number of the newest configuration that it has accepted. */
  readonly configuration: number;
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
    const { phase, connectedPeers, configuration } = answer;
    const joined = answer.networkId.length === 0 ? undefined : digest(toHex(answer.networkId));
    return { identity, networkId: joined, configuration, phase, connectedPeers };
  });
}

/**
 * Gives a node its network, or the network's later configurations.
 * @param networkId of the network it belongs to already, NO_NETWORK before
 * @throws {KmsError} BAD_GENESIS, BAD_CONFIGURATION, CONFLICT if the node refuses it; UNAVAILABLE, TIMEOUT, BAD_PEER
 */
export async function joinNode(
  address: string,
  chain: Pick<ConfigurationChain, 'genesis' | 'links'>,
  networkId: Digest = NO_NETWORK,
): Promise<void> {
  const genesis = encodeGenesis(chain.genesis);
  const configurations = chain.links.map(({ signed }) => encodeSignedConfiguration(signed));
  await calling(address, networkId, (client) => client.join({ genesis, configurations }));
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

const REFUSALS: readonly ErrorCode[] = ['BAD_GENESIS', 'BAD_CONFIGURATION', 'BAD_SIGNATURE', 'CONFLICT'];

/** What the node said about it, if it said anything. */
function refusal(address: string, cause: unknown): KmsError {
  const { code } = faultOf(cause);
  return REFUSALS.includes(code)
    ? new KmsError(code, `the node at ${address} refuses: ${meaningOf(code)}`, { cause })
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
