import { hexOf } from '../../gateway/adapter/chain-data.ts';
import { callOf, read } from '../../gateway/adapter/contract.ts';
import { KmsError } from '../../shared/errors.ts';
import type { Digest } from '../../shared/ids.ts';
import { fromHex } from '../../shared/wire/bytes.ts';
import { approve, MORE_OPERATORS } from './approval.ts';
import type { GatewayContext } from './context.ts';
import { waitFor } from './waiting.ts';
import type { Wallet } from './wallet.ts';

export interface Published {
  readonly number: number;
  readonly digest: Digest;
}

/**
 * Operators publish the configurations that this client has accepted and the registry lacks, one after the other: enclaves accept no
 * other. What was approved before an interruption still counts.
 * @returns those that were lacking
 * @throws {KmsError} CONFLICT if the registry has another one under a number; NOT_PERMITTED, TIMEOUT without enough operators
 */
export async function publishConfigurations(
  context: GatewayContext,
  operators: readonly Wallet[],
): Promise<readonly Published[]> {
  const { registry } = context.gateway;
  const published: Published[] = [];
  for (const [number, { digest }] of context.kms.network.chain.links.entries()) {
    const isThere = async (): Promise<boolean> => (await read(registry, 'configurationCount', [])) > number;
    if (!(await isThere())) {
      const what = `publish configuration ${number}`;
      await approve(context, operators, {
        call: callOf(registry, 'publishConfiguration', [BigInt(number), hexOf(fromHex(digest))]),
        ...{ what, isOver: isThere },
      });
      const awaited = { what: `the approvals of more operators: ${what}`, look: MORE_OPERATORS };
      await waitFor(context.waiting, awaited, async () => ((await isThere()) ? true : undefined));
      published.push({ number, digest });
    }
    if ((await read(registry, 'configurations', [BigInt(number)])) !== hexOf(fromHex(digest))) {
      throw new KmsError(
        'CONFLICT',
        `the gateway has another configuration ${number} than this network's file`,
      );
    }
  }
  return published;
}
