import { KmsError } from '../../shared/errors.ts';
import type { Digest } from '../../shared/ids.ts';
import type { ConfigurationChain } from '../../shared/network/chain.ts';

/**
 * What a client knows of a network from elsewhere than the files it is given. Genesis alone is not enough: a quorum of
 * governance keys that were retired long ago still signs a valid chain, up to the configuration that retired them.
 */
export interface ClientAnchors {
  /** Digest of a configuration that the chain must contain, whichever number; it names its network, so it pins genesis too. */
  readonly pin?: Digest;
  /** What this client has seen before. */
  readonly memory?: ConfigurationMemory;
}

/** One configuration of a network. */
export interface SeenConfiguration {
  readonly number: number;
  readonly digest: Digest;
}

/** Keeps the highest configuration that was ever accepted, for each network. */
export interface ConfigurationMemory {
  highest(networkId: Digest): Promise<SeenConfiguration | undefined>;
  /** Durable when it resolves; never forgets a higher one. @throws {KmsError} CONFLICT for a rival of one it keeps */
  remember(networkId: Digest, seen: SeenConfiguration): Promise<void>;
}

/**
 * Takes a verified chain, or refuses one that contradicts the pin or is behind what was seen; what is newest in it is
 * remembered then.
 * @throws {KmsError} BAD_CONFIGURATION, CONFLICT; BAD_INPUT for a production network of which nothing is known yet
 */
export async function acceptChain(chain: ConfigurationChain, { pin, memory }: ClientAnchors): Promise<void> {
  const { networkId, newest } = chain;
  const seen = await memory?.highest(networkId);
  if (chain.genesis.class === 'production' && pin === undefined && seen === undefined) {
    throw new KmsError(
      'BAD_INPUT',
      'this client knows no configuration of the network yet: ask its operators for the digest of one, over a channel ' +
        'that you trust, and pin it',
    );
  }
  checkPin(chain, pin);
  if (seen !== undefined) checkSeen(chain, seen);
  await memory?.remember(networkId, { number: newest.signed.configuration.number, digest: newest.digest });
}

/** @throws {KmsError} BAD_CONFIGURATION unless the chain contains the pinned configuration */
export function checkPin({ links, networkId }: ConfigurationChain, pin: Digest | undefined): void {
  if (pin === undefined || links.some(({ digest }) => digest === pin)) return;
  throw new KmsError(
    'BAD_CONFIGURATION',
    `none of the ${links.length} configurations of network ${networkId} is the pinned ${pin}: the files are older than the ` +
      'pin, or of another network, or signed by keys that were retired',
  );
}

/** @throws {KmsError} BAD_CONFIGURATION, CONFLICT unless the chain goes on from what was seen */
export function checkSeen(
  { links, networkId }: ConfigurationChain,
  { number, digest }: SeenConfiguration,
): void {
  const found = links[number];
  if (found === undefined) {
    throw new KmsError(
      'BAD_CONFIGURATION',
      `network ${networkId} ends with configuration ${links.length - 1} here, and this client has seen ${number} ` +
        `(${digest}): get the newer file`,
    );
  }
  if (found.digest !== digest) {
    throw new KmsError(
      'CONFLICT',
      `configuration ${number} of network ${networkId} is ${found.digest} here, and this client has seen ${digest}`,
    );
  }
}
