import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { keccak_256 } from '@noble/hashes/sha3.js';
import { type Abi, encodeFunctionData } from 'viem';
import type { GatewayContext } from '../../../../client/gateway/context.ts';
import { decryptionsAbi } from '../../../../gateway/adapter/abi/gateway.ts';
import { Chain } from '../../../../gateway/adapter/chain.ts';
import { type Hex, hexOf } from '../../../../gateway/adapter/chain-data.ts';
import type { Endpoint } from '../../../../gateway/adapter/endpoint.ts';
import { committee } from '../../../../shared/committee.ts';
import { type TypedDomain, typedDigest } from '../../../../shared/gateway/eip712.ts';
import { addressOf, signDigest } from '../../../../shared/gateway/signature.ts';
import type { Typed, TypedName } from '../../../../shared/gateway/typed-data.ts';
import { type PartyId, partyId } from '../../../../shared/ids.ts';
import { noble } from '../../../../shared/noble.ts';
import { toHex, utf8 } from '../../../../shared/wire/bytes.ts';

/** A gateway whose chain is a list of transactions, whose committee is played by test keys, and whose parents are one small server. */

export const domain: TypedDomain = { gatewayChainId: 31337n, registry: new Uint8Array(20).fill(0xaa) };
export const DECRYPTIONS: Hex = `0x${'dd'.repeat(20)}`;
export const four = committee(4, 1);
export const secretOf = (party: number): Uint8Array => keccak_256(utf8(`result signer ${party}`));
export const signerAddress = (party: number): Hex =>
  hexOf(addressOf(secp256k1.getPublicKey(secretOf(party), true)));

export function signed<Name extends TypedName>(
  party: number,
  name: Name,
  statement: Typed<Name>,
  of = domain,
): Uint8Array {
  return signDigest(typedDigest(of, name, statement), secretOf(party));
}

/** All four are known, as their enrolments say. */
export const signers = {
  async partiesOf(addresses: ReadonlySet<Hex>) {
    const known = [1, 2, 3, 4].map((party): [Hex, PartyId] => [signerAddress(party), partyId(party)]);
    return { parties: new Map(known.filter(([address]) => addresses.has(address))), silent: [] };
  },
};

export class PlayedGateway implements AsyncDisposable {
  readonly chain: Chain;
  readonly #inputs: Hex[] = [];
  /** What the parents serve, by path. */
  readonly shares = new Map<string, Uint8Array>();
  readonly #server: Server;
  readonly #url: string;

  private constructor(server: Server) {
    this.#server = server;
    this.#url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const endpoint: Endpoint = { ask: async (method, params) => ({ result: this.#answer(method, params) }) };
    this.chain = new Chain(31337n, endpoint);
  }

  static async start(): Promise<PlayedGateway> {
    const server = createServer((request, response) => {
      const body = played.shares.get(request.url ?? '');
      if (body === undefined) response.writeHead(404).end();
      else response.writeHead(200).end(body);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const played = new PlayedGateway(server);
    return played;
  }

  get decryptions() {
    return { chain: this.chain, address: DECRYPTIONS, abi: decryptionsAbi };
  }

  /** Somebody calls the contract. */
  post(functionName: string, args: readonly unknown[]): Hex {
    const input = encodeFunctionData({ abi: decryptionsAbi as Abi, functionName, args });
    this.#inputs.push(input);
    return input;
  }

  serve(requestId: bigint, party: number, share: Uint8Array, as = toHex(noble.sha256(share))): void {
    this.shares.set(`/shares/${requestId}/${party}/${as}`, share);
  }

  /** As much of it as shares need. */
  context(timeoutMs: number): GatewayContext {
    const { chain, decryptions } = this;
    return {
      ...{ domain, signers, gateway: { chain, decryptions } },
      kms: { network: { committee: four } },
      places: { connectors: Array.from({ length: 4 }, () => this.#url) },
      waiting: { timeoutMs, pollMs: 10, onProgress: () => {} },
    } as unknown as GatewayContext;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #answer(method: string, params: readonly unknown[]): unknown {
    const word = (value: number): Hex => `0x${value.toString(16).padStart(64, '0')}`;
    if (method === 'eth_getBlockByNumber') {
      return {
        ...{ number: '0x9', hash: word(9), parentHash: word(8), timestamp: '0x1' },
        ...{ logsBloom: `0x${'00'.repeat(256)}`, baseFeePerGas: '0x1' },
      };
    }
    if (method === 'eth_getLogs') {
      return this.#inputs.map((_, i) => ({
        ...{ address: DECRYPTIONS, topics: [word(1)], data: '0x', blockNumber: '0x9', blockHash: word(9) },
        ...{ transactionHash: word(i + 1), logIndex: `0x${i.toString(16)}`, removed: false },
      }));
    }
    const [hash] = params;
    const index = Number(BigInt(hash as Hex)) - 1;
    return { hash, from: `0x${'01'.repeat(20)}`, to: DECRYPTIONS, input: this.#inputs[index] };
  }
}
