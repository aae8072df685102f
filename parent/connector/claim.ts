import { bytesOf } from '../../gateway/adapter/chain-data.ts';
import { KmsError } from '../../shared/errors.ts';
import type { ClaimedCiphertext } from '../../shared/gateway/policy/ciphertext.ts';
import type { Claim } from '../../shared/gateway/policy/claim.ts';
import type { Typed } from '../../shared/gateway/typed-data.ts';
import type { AskedCommand, AskedRequest } from './asked.ts';
import { ciphertextOf } from './ciphertexts.ts';
import { type ConnectorNetwork, followed, hostChainOf } from './network.ts';
import { oracleRequestOf } from './oracle-request.ts';
import { permitIn } from './permit.ts';

export type RequestClaim = Exclude<Claim, { readonly kind: 'command' }>;

/** Asked for at once, of one request. */
const AT_ONCE = 4;

/**
 * All the fields of a request, collected from events and calldata.
 * @throws {KmsError} UNAVAILABLE while something is not there yet; NOT_PROVEN for a permit that is in no calldata; BAD_INPUT for a
 *   chain that is not configured; what Chain throws
 */
export async function claimOf(network: ConnectorNetwork, asked: AskedRequest): Promise<RequestClaim> {
  const { request, kind } = asked;
  const [host, ciphertexts] = await Promise.all([
    hostChainOf(network, request.hostChainId),
    ciphertextsOf(network, request.handles),
  ]);
  const common = { contracts: network.contracts, host, request, ciphertexts };
  switch (kind) {
    case 'public': {
      const oracleRequest = await oracleRequestOf(followed(network, host.chainId), host, request);
      return { kind, ...common, oracleRequest };
    }
    case 'user':
      return { kind, ...common, permit: await permitOf(network, asked) };
    case 'transfer':
      return { kind, ...common };
  }
}

export function commandClaim({ contracts }: ConnectorNetwork, { command }: AskedCommand): Claim {
  return { kind: 'command', contracts, command };
}

async function ciphertextsOf(
  network: ConnectorNetwork,
  handles: readonly Uint8Array[],
): Promise<readonly ClaimedCiphertext[]> {
  const found: ClaimedCiphertext[] = [];
  for (let at = 0; at < handles.length; at += AT_ONCE) {
    const next = handles.slice(at, at + AT_ONCE).map((handle) => ciphertextOf(network, handle));
    found.push(...(await Promise.all(next)));
  }
  return found;
}

async function permitOf(
  { gateway }: ConnectorNetwork,
  { log, request }: AskedRequest,
): Promise<Typed<'UserDecryptionRequest'>> {
  const transaction = await gateway.chain.transaction(log.transactionHash);
  if (transaction === undefined) throw new KmsError('UNAVAILABLE', "the request's transaction is not there");
  const domain = {
    gatewayChainId: gateway.chain.chainId,
    registry: bytesOf(gateway.registry.address),
  };
  const permit = permitIn(transaction.input, request.reference, domain);
  if (permit === undefined) {
    throw new KmsError('NOT_PROVEN', "the permit is not in its transaction's calldata");
  }
  return permit;
}
