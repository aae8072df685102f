import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import type { Duplex } from 'node:stream';
import { KmsError } from '../../shared/errors.ts';
import { headerFromRpc, proofFromRpc } from '../../shared/gateway/proof/rpc.ts';
import type { Digest } from '../../shared/ids.ts';
import { type RpcEndpoint, rpcAddress } from '../../shared/network/rpc.ts';
import { toHex } from '../../shared/wire/bytes.ts';
import { type Block, quantity, readBlock, readQuantity } from './block.ts';
import type { BlockTag, ChainEndpoint, SlotsOf } from './endpoint.ts';
import { rpcCall, rpcResult } from './json-rpc.ts';
import { PinnedKeyAgent } from './pinned-key-agent.ts';

/** A block with the hashes of its transactions: some 70 bytes for each of a few thousand. */
const MAX_ANSWER_BYTES = 1 << 20;

/** Asks one endpoint of a configuration, over TLS to one of its pinned keys, and reads nothing that was not asked for. */
export class RpcClient implements ChainEndpoint {
  readonly #url: URL;
  readonly #agent: PinnedKeyAgent;
  #calls = 0;

  /** @param connect a stream to `host:port` */
  constructor({ url, spkiPins }: RpcEndpoint, connect: (address: string) => Promise<Duplex>) {
    this.#url = new URL(url);
    const address = rpcAddress(url);
    this.#agent = new PinnedKeyAgent({
      host: this.#url.hostname,
      spkiPins,
      connect: () => connect(address),
    });
  }

  async chainId(signal: AbortSignal): Promise<bigint> {
    return readQuantity(await this.#call('eth_chainId', [], signal));
  }

  async blockByNumber(which: bigint | BlockTag, signal: AbortSignal): Promise<Block | undefined> {
    const name = typeof which === 'bigint' ? quantity(which) : which;
    const block = readBlock(await this.#call('eth_getBlockByNumber', [name, false], signal));
    if (typeof which === 'bigint' && block !== undefined && block.number !== which) throw another();
    return block;
  }

  async blockByHash(hash: Digest, signal: AbortSignal): Promise<Block | undefined> {
    const block = readBlock(await this.#call('eth_getBlockByHash', [`0x${hash}`, false], signal));
    if (block !== undefined && block.hash !== hash) throw another();
    return block;
  }

  async header(hash: Digest, signal: AbortSignal): Promise<Uint8Array> {
    return headerFromRpc(await this.#call('eth_getBlockByHash', [`0x${hash}`, false], signal));
  }

  async proof(
    { address, slots }: SlotsOf,
    block: bigint,
    signal: AbortSignal,
  ): Promise<readonly Uint8Array[]> {
    const names = slots.map((slot) => `0x${toHex(slot)}`);
    const params = [`0x${toHex(address)}`, names, quantity(block)];
    return proofFromRpc(await this.#call('eth_getProof', params, signal)).nodes;
  }

  /** Ends its connections. */
  close(): void {
    this.#agent.destroy();
  }

  async #call(method: string, params: readonly unknown[], signal: AbortSignal): Promise<unknown> {
    this.#calls += 1;
    const id = this.#calls;
    const body = rpcCall(id, method, params);
    try {
      signal.throwIfAborted();
      return rpcResult(id, await this.#post(body, signal));
    } catch (cause) {
      if (cause instanceof KmsError) throw cause;
      const code = signal.aborted ? 'TIMEOUT' : 'UNAVAILABLE';
      throw new KmsError(code, 'a chain endpoint does not answer', { cause });
    }
  }

  async #post(body: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    const { hostname, port, pathname, search } = this.#url;
    const call = request({
      ...{ agent: this.#agent, host: hostname, port, path: `${pathname}${search}`, method: 'POST', signal },
      headers: {
        'content-type': 'application/json',
        'content-length': body.length,
        accept: 'application/json',
      },
    });
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    // A request that still waits for its connection does not say that it was aborted.
    const aborted = (): void => reject(new KmsError('TIMEOUT', 'a chain endpoint does not answer in time'));
    signal.addEventListener('abort', aborted);
    call.once('response', resolve).on('error', reject).end(body);
    try {
      const answer = await promise;
      if (answer.statusCode !== 200) {
        throw new KmsError('UNAVAILABLE', `a chain endpoint answers with status ${answer.statusCode}`);
      }
      return await read(answer);
    } catch (error) {
      call.destroy();
      throw error;
    } finally {
      signal.removeEventListener('abort', aborted);
    }
  }
}

async function read(answer: IncomingMessage): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  let seen = 0;
  for await (const chunk of answer) {
    if (!Buffer.isBuffer(chunk)) throw new KmsError('INTERNAL', 'bytes are expected');
    seen += chunk.length;
    if (seen > MAX_ANSWER_BYTES) {
      throw new KmsError('TOO_LARGE', `a chain endpoint answers with more than ${MAX_ANSWER_BYTES} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function another(): KmsError {
  return new KmsError('BAD_ENCODING', 'the endpoint answers with another block than it was asked for');
}
