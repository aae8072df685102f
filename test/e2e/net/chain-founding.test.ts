import { secp256k1 } from '@noble/curves/secp256k1.js';
import { type Hex, hexToBytes, keccak256, toHex } from 'viem';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nodePrimitives } from '../../../enclave/primitives.ts';
import { LocalAccount } from '../../../infra/local/chains/account.ts';
import { type LocalChain, startAnvil } from '../../../infra/local/chains/anvil.ts';
import { currentEpoch, enrol, firstCommittee, proposedNode } from '../../../infra/local/chains/enrolment.ts';
import {
  deployGateway,
  foundGateway,
  type LocalGateway,
  openGateway,
  publishConfigurations,
} from '../../../infra/local/chains/gateway.ts';
import { deployHost, openHost } from '../../../infra/local/chains/host.ts';
import { digest, epochId, partyId } from '../../../shared/ids.ts';
import type { Enrolment } from '../../../shared/membership/enrolment.ts';
import { signNodeEnrolment } from '../../../shared/membership/node-enrolment.ts';
import { measurement } from '../../simulator/network.ts';

/** What operators do on chain to found a network, broken off after each transaction, and begun again from what the chain has. */

const NETWORK: Hex = `0x${'11'.repeat(32)}`;
const CONFIGURATIONS: readonly Hex[] = [`0x${'22'.repeat(32)}`, `0x${'33'.repeat(32)}`];
const PARTIES = [1, 2, 3, 4];
const SECRETS = PARTIES.map((party) => keccak256(toHex(`signer ${party}`), 'bytes'));

let chain: LocalChain;
let hostChain: LocalChain;
let registry: LocalGateway['registry'];
let enrolments: readonly Enrolment[];

beforeAll(async () => {
  chain = await startAnvil({ chainId: 31337 });
  hostChain = await startAnvil({ chainId: 31338 });
  ({ registry } = await deployGateway(chain));
  enrolments = PARTIES.map(enrolmentOf);
}, 120_000);

afterAll(async () => {
  await chain?.stop();
  await hostChain?.stop();
});

/** As all the others sign it. */
function enrolmentOf(of: number): Enrolment {
  const domain = { gatewayChainId: 31337n, registry: hexToBytes(registry.address) };
  const statement = {
    ...{ epoch: epochId(0), party: partyId(of), signer: secp256k1.getPublicKey(SECRETS[of - 1]!) },
    ...{ identity: keccak256(toHex(`identity ${of}`), 'bytes'), tlsKey: digest('44'.repeat(32)) },
    ...{ measurement: measurement(1), document: digest('55'.repeat(32)) },
  };
  const signed = (party: number) => ({
    party: partyId(party),
    signature: signNodeEnrolment(nodePrimitives, domain, statement, SECRETS[party - 1]!),
  });
  const contractSignatures = PARTIES.filter((party) => party !== of).map(signed);
  return { statement, signatures: [], contractSignatures };
}

/** The gateway of somebody who has just come, and whose operators can send so many transactions and no more. */
async function limited(transactions: number): Promise<LocalGateway> {
  const gateway = await openGateway(chain, registry.address);
  let left = transactions;
  const limit = (operator: LocalAccount): LocalAccount => {
    const send = operator.send.bind(operator);
    return Object.assign(operator, {
      send: async (call: Parameters<LocalAccount['send']>[0]) => {
        if (left-- <= 0) throw new Error('broken off');
        return send(call);
      },
    });
  };
  return { ...gateway, operators: gateway.operators.map(limit) };
}

/** Lives of one transaction each until one has nothing left to do. @returns how many transactions there were */
async function inPieces(work: (gateway: LocalGateway) => Promise<void>): Promise<number> {
  for (let sent = 0; sent < 100; sent++) {
    try {
      await work(await limited(1));
      // The last life may have sent the last transaction.
      await work(await limited(0));
      return sent + 1;
    } catch (error) {
      expect(String(error)).toContain('broken off');
    }
  }
  throw new Error('it never ends');
}

async function found(gateway: LocalGateway): Promise<void> {
  const cloud = { cloudAccount: '100000000001', region: 'eu-central-1' };
  const nodes = enrolments.map((one) => proposedNode(gateway, one, 'node:443', cloud));
  await foundGateway(gateway, NETWORK, CONFIGURATIONS[0]!, 1, nodes);
  await enrol(gateway, enrolments);
  await publishConfigurations(gateway, CONFIGURATIONS);
}

const read = (name: string, ...args: readonly unknown[]): Promise<unknown> =>
  new LocalAccount(chain, 0).read({ to: registry, name, args });

describe('founding on chain', () => {
  it('founding on chain: broken off at every transaction it goes on, and sends none twice', async () => {
    expect(await currentEpoch(await openGateway(chain, registry.address))).toBeUndefined();
    // Three operators decide on network, members and two configurations; four members are enrolled.
    expect(await inPieces(found)).toBe(3 + 3 + 2 * 3 + 4);
    const gateway = await openGateway(chain, registry.address);
    expect(await currentEpoch(gateway)).toBe(0n);
    expect(await read('networkId')).toBe(NETWORK);
    expect(await read('configurations', 1n)).toBe(CONFIGURATIONS[1]);
    for (const party of PARTIES) expect(await read('enrolments', 0n, party)).not.toBe(`0x${'00'.repeat(32)}`);
  });

  it("founding on chain: a registry that is another network's is left alone", async () => {
    const nodes = [] as const;
    const gateway = await limited(0);
    const other: Hex = `0x${'99'.repeat(32)}`;
    await expect(foundGateway(gateway, other, CONFIGURATIONS[0]!, 1, nodes)).rejects.toMatchObject({
      code: 'BAD_GENESIS',
    });
  });

  it('founding on chain: a gateway is opened as it was deployed, and not where none is', async () => {
    const gateway = await openGateway(chain, registry.address);
    const contracts = [gateway.keys, gateway.ciphertexts, gateway.decryptions];
    expect(await read('contracts')).toEqual(contracts.map(({ address }) => address));
    const elsewhere = openGateway(hostChain, registry.address);
    await expect(elsewhere).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  it('founding on chain: a host counts once the gateway knows it; the next one begins anew', async () => {
    const committee = firstCommittee(1, enrolments);
    // The last of three approvals is missing.
    await expect(deployHost(hostChain, await limited(2), committee, [])).rejects.toThrow('broken off');
    expect(await openHost(hostChain, await limited(0))).toBeUndefined();
    const deployed = await deployHost(hostChain, await limited(3), committee, []);
    const opened = await openHost(hostChain, await limited(0));
    for (const name of ['verifier', 'keyring', 'accessControl', 'submitters', 'compute', 'oracle'] as const) {
      expect(opened?.[name].address.toLowerCase(), name).toBe(deployed[name].address.toLowerCase());
    }
    const { deployer, verifier } = deployed;
    expect(await deployer.read({ to: verifier, name: 'currentEpoch' })).toBe(0n);
  });
});
