import { NO_NETWORK } from '../shared/attestation/certificate.ts';
import type { NodeTrust, VerifiedNode } from '../shared/attestation/node-evidence.ts';
import { codeOf, KmsError } from '../shared/errors.ts';
import { type Digest, digest } from '../shared/ids.ts';
import type { ConfigurationChain } from '../shared/network/chain.ts';
import { encodeGenesis } from '../shared/network/genesis.ts';
import { encodeSignedConfiguration } from '../shared/network/signed-configuration.ts';
import { equalBytes, toHex } from '../shared/wire/bytes.ts';
import { faultOf, meaningOf } from './fault.ts';
import { NodeChannel, type NodeClient, type NodePlace } from './node-channel.ts';
import { type KnownBlock, trustIn, unconditionally } from './node-trust.ts';

/** What a node says about itself; its TLS session proved the identity. */
export interface NodeCard {
  /** Ed25519 public key, 32 bytes. */
  readonly identity: Uint8Array;
  /** Ed25519 public key that speaks for the node while its identity is sealed, 32 bytes. */
  readonly bootKey: Uint8Array;
  /** The one that its certificate and attestation are bound to; undefined before it has joined. */
  readonly network: NodeMembership | undefined;
  readonly phase: string;
  /** Why it does not go on by itself; empty otherwise. */
  readonly reason: string;
  readonly connectedPeers: readonly number[];
  /** Unverified; empty until there is one (shared/membership/enrolment.ts). */
  readonly enrolment: Uint8Array;
  /** What its certificate and attestation proved; the image is not checked. */
  readonly node: VerifiedNode;
}

export interface NodeMembership {
  readonly networkId: Digest;
  readonly party: number;
  /** The newest configuration that it has accepted. */
  readonly configuration: { readonly number: number; readonly digest: Digest };
}

const CALL_TIMEOUT_MS = 10_000;

/**
 * A node that belongs to this network, or to none yet.
 * @param networkId undefined: to none
 * @throws {KmsError} BAD_PEER for a node of another network, BAD_ATTESTATION for one that is no enclave, UNAVAILABLE, TIMEOUT
 */
export function describeNode(place: NodePlace, networkId?: Digest): Promise<NodeCard> {
  const trust = networkId === undefined ? undefined : unconditionally(networkId);
  return calling(place, trust, async (client, { node, networkId: proven }, options) => {
    const { identity } = node;
    const answer = await client.describe({}, options);
    if (!equalBytes(answer.identity, identity)) {
      throw new KmsError('BAD_PEER', 'the node contradicts its certificate');
    }
    const {
      bootKey,
      phase,
      reason,
      connectedPeers,
      party,
      configuration: number,
      configurationDigest,
    } = answer;
    if (proven !== NO_NETWORK && toHex(answer.networkId) !== proven) {
      throw new KmsError('BAD_PEER', 'the node contradicts its certificate about its network');
    }
    // What it says of a network that nothing binds it to counts nothing; it may be joining just now.
    const network =
      proven === NO_NETWORK
        ? undefined
        : {
            networkId: proven,
            party,
            configuration: { number, digest: digest(toHex(configurationDigest)) },
          };
    return { identity, bootKey, network, phase, reason, connectedPeers, enrolment: answer.enrolment, node };
  });
}

/**
 * Gives a node its network, or its network's later configurations.
 * @param party which member it is, for a process that starts again and knows nothing yet
 * @param block see trustIn()
 * @returns its party, and the number of the newest configuration that it has
 * @throws {KmsError} what the node says: BAD_GENESIS, BAD_CONFIGURATION, BAD_SIGNATURE, CONFLICT; BAD_PEER for a node of
 *   another network, BAD_ATTESTATION for another image than it allows, UNAVAILABLE, TIMEOUT
 */
export function joinNode(
  place: NodePlace,
  chain: ConfigurationChain,
  party?: number,
  block?: KnownBlock,
): Promise<{ readonly identity: Uint8Array; readonly party: number; readonly configuration: number }> {
  const genesis = encodeGenesis(chain.genesis);
  const configurations = chain.links.map(({ signed }) => encodeSignedConfiguration(signed));
  return calling(place, trustIn(chain, block), async (client, { node: { identity } }, options) => {
    const answer = await client.join({ genesis, configurations, party: party ?? 0 }, options);
    if (toHex(answer.networkId) !== chain.networkId) {
      throw new KmsError('BAD_PEER', 'the node says that it joined another network');
    }
    return { identity, party: answer.party, configuration: answer.configuration };
  });
}

/** Who answers, and the network it proved to be bound to; NO_NETWORK before it has joined. */
interface Reached {
  readonly node: VerifiedNode;
  readonly networkId: Digest;
}

async function calling<T>(
  place: NodePlace,
  trust: NodeTrust | undefined,
  call: (client: NodeClient, reached: Reached, options: { readonly signal: AbortSignal }) => Promise<T>,
): Promise<T> {
  // A node shows a certificate of its network, or of none before it has joined: one of the two is right.
  const trusts = [...(trust === undefined ? [] : [trust]), unconditionally()];
  let failure: unknown;
  for (const one of trusts) {
    const channel = new NodeChannel(place, one);
    try {
      const client = await channel.client();
      const { node } = channel;
      if (node === undefined) throw new KmsError('INTERNAL', 'the channel is open without a node');
      const reached = { node, networkId: one.networkId };
      return await call(client, reached, { signal: AbortSignal.timeout(CALL_TIMEOUT_MS) });
    } catch (error) {
      if (codeOf(error) !== 'BAD_PEER') throw refusal(place, error);
      failure ??= error;
    } finally {
      channel.close();
    }
  }
  throw failure;
}

function refusal({ addresses }: NodePlace, cause: unknown): KmsError {
  if (cause instanceof KmsError) return cause;
  const { code } = faultOf(cause);
  return new KmsError(code, `the node at ${addresses.join(' or ')}: ${meaningOf(code)}`, { cause });
}
