import { ciphertextsAbi } from '../../gateway/adapter/abi/gateway.ts';
import { computeAbi } from '../../gateway/adapter/abi/host.ts';
import { bytesOf, type Hex, hexOf } from '../../gateway/adapter/chain-data.ts';
import { read } from '../../gateway/adapter/contract.ts';
import { eventOf, eventsBackwards, topicOf } from '../../gateway/adapter/events.ts';
import { KmsError } from '../../shared/errors.ts';
import { type CommittedCiphertext, ciphertextCommitment } from '../../shared/gateway/commitments.ts';
import { type Derivation, handleOf, readHandle } from '../../shared/gateway/handle.ts';
import type { ClaimedCiphertext } from '../../shared/gateway/policy/ciphertext.ts';
import { equalBytes } from '../../shared/wire/bytes.ts';
import { type ConnectorNetwork, followed, hostChainOf } from './network.ts';

/**
 * What the chains say of a handle: what the coprocessors committed on the gateway, and its derivation on the chain that it names.
 * @throws {KmsError} UNAVAILABLE while one of them is not there yet; BAD_INPUT for a handle of a chain that is not configured; what
 *   Chain throws
 */
export async function ciphertextOf(
  network: ConnectorNetwork,
  handle: Uint8Array,
): Promise<ClaimedCiphertext> {
  const [ciphertext, derivation] = await Promise.all([committed(network, handle), derived(network, handle)]);
  return { ciphertext, derivation };
}

async function committed({ gateway }: ConnectorNetwork, handle: Uint8Array): Promise<CommittedCiphertext> {
  const { chain, ciphertexts, startBlock } = gateway;
  const known = await read(ciphertexts, 'commitments', [hexOf(handle)]);
  const topics = [topicOf(ciphertextsAbi, 'CiphertextCommitted'), hexOf(handle)];
  for await (const logs of eventsBackwards(chain, ciphertexts.address, topics, startBlock)) {
    for (const log of logs) {
      const event = eventOf(ciphertexts, log);
      if (event?.eventName !== 'CiphertextCommitted') continue;
      const { handle: of, keyId, digest, provenance, ...numbers } = event.args.ciphertext;
      const found = {
        ...{ handle: bytesOf(of), keyId: bytesOf(keyId), digest: bytesOf(digest) },
        ...{ ...numbers, provenance: bytesOf(provenance) },
      };
      if (hexOf(ciphertextCommitment(found)) === known) return found;
    }
  }
  throw new KmsError('UNAVAILABLE', 'the coprocessors have not committed a handle yet');
}

/** The handle is its hash, so no event of another contract or chain can pass for it. */
async function derived(network: ConnectorNetwork, handle: Uint8Array): Promise<Derivation> {
  const { chainId } = readHandle(handle);
  const { chain, startBlock } = followed(network, chainId);
  const address: Hex = hexOf((await hostChainOf(network, chainId)).compute);
  const topics = [topicOf(computeAbi, 'Computed'), hexOf(handle)];
  for await (const logs of eventsBackwards(chain, address, topics, startBlock)) {
    for (const log of logs) {
      const event = eventOf({ chain, address, abi: computeAbi }, log);
      if (event?.eventName !== 'Computed') continue;
      const { inputs, argument, keyId, kind, compute, ...numbers } = event.args.derivation;
      const found: Derivation = {
        ...{ ...numbers, inputs: inputs.map(bytesOf), argument: bytesOf(argument), keyId: bytesOf(keyId) },
        ...{ compute: bytesOf(compute), kind: kind === 1 ? 'scalar' : 'vector' },
      };
      if (equalBytes(handleOf(found), handle)) return found;
    }
  }
  throw new KmsError('UNAVAILABLE', 'the chain of its origin has no derivation of a handle');
}
