import { Chain } from '../../gateway/adapter/chain.ts';
import type { Hex } from '../../gateway/adapter/chain-data.ts';
import { bytesOf } from '../../gateway/adapter/chain-data.ts';
import { type Endpoint, httpEndpoint } from '../../gateway/adapter/endpoint.ts';
import {
  type GatewayContracts,
  gatewayContracts,
  type HostContracts,
  hostContracts,
} from '../../gateway/adapter/network-contracts.ts';
import { KmsError } from '../../shared/errors.ts';
import { type TypedDomain, typedDomainOf } from '../../shared/gateway/eip712.ts';
import { equalBytes } from '../../shared/wire/bytes.ts';
import type { KmsClient } from '../sdk/kms-client.ts';
import type { ChainPlace, GatewayPlaces } from './gateway-file.ts';
import { ResultSigners } from './result-signers.ts';
import type { Waiting } from './waiting.ts';

/**
 * What everything through the gateway needs. The domain is genesis' and the signers are enclaves'; all else is an endpoint's word,
 * which decides what is asked and when, never whether an answer is right.
 */
export interface GatewayContext {
  readonly kms: KmsClient;
  readonly domain: TypedDomain;
  readonly gateway: GatewayContracts;
  readonly places: GatewayPlaces;
  readonly signers: ResultSigners;
  readonly waiting: Waiting;
  /** @param chainId default: the first. @throws {KmsError} BAD_INPUT for one that is not in the gateway file */
  host(chainId?: bigint): Promise<HostContracts>;
}

export type EndpointOf = (place: ChainPlace) => Endpoint;

/**
 * @throws {KmsError} BAD_CONFIGURATION if the places are of another gateway than genesis names; BAD_INPUT for an endpoint of another
 * chain; UNAVAILABLE, TIMEOUT
 */
export async function openContext(
  kms: KmsClient,
  places: GatewayPlaces,
  waiting: Waiting,
  endpointOf: EndpointOf = ({ url }) => httpEndpoint({ url }),
): Promise<GatewayContext> {
  const domain = typedDomainOf(kms.network.chain.genesis);
  const { chainId, registry } = places.gateway;
  const isOurs =
    domain !== undefined &&
    domain.gatewayChainId === chainId &&
    equalBytes(domain.registry, bytesOf(registry));
  if (!isOurs) {
    throw new KmsError(
      'BAD_CONFIGURATION',
      "the gateway file names another gateway than the network's genesis",
    );
  }
  const open = async (place: ChainPlace): Promise<Chain> => {
    const chain = new Chain(place.chainId, endpointOf(place));
    await chain.requireChain();
    return chain;
  };
  const gateway = await gatewayContracts(await open(places.gateway), registry.toLowerCase() as Hex);
  const hosts = new Map<bigint, HostContracts>();
  return {
    ...{ kms, domain, gateway, places, waiting, signers: new ResultSigners(kms.network) },
    async host(wanted = places.hosts[0]?.chainId) {
      const place = places.hosts.find((one) => one.chainId === wanted);
      if (place === undefined) {
        const known = places.hosts.map((one) => one.chainId).join(', ');
        throw new KmsError(
          'BAD_INPUT',
          `chain ${wanted} is no host chain of this network; there are ${known}`,
        );
      }
      const host = hosts.get(place.chainId) ?? (await hostContracts(gateway, await open(place)));
      hosts.set(place.chainId, host);
      return host;
    },
  };
}
