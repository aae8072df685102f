import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { type Client, createClient } from '@connectrpc/connect';
import { createGrpcTransport, Http2SessionManager } from '@connectrpc/connect-node';
import { codeOf, KmsError } from '../../shared/errors.ts';
import type { NodeAnchor } from '../../shared/gateway/node-anchor.ts';
import { SIGNATURE_BYTES } from '../../shared/gateway/signature.ts';
import type { KeyId } from '../../shared/ids.ts';
import type { Link } from '../../shared/link.ts';
import { fromHex } from '../../shared/wire/bytes.ts';
import { readEagerly } from '../../shared/wire/eager.ts';
import { NodeService } from '../../shared/wire/generated/kms/v1/node_pb.js';
import { enclaveFault } from './enclave-fault.ts';

/** What a connector hands to its enclave about a request of the gateway (NodeService.Answer). */
export interface EnclaveRequest {
  readonly claim: Uint8Array;
  readonly evidence: Uint8Array;
  /** Of the request's handles, in their order. */
  readonly envelopes: readonly Uint8Array[];
  /** Of a user's request; empty for others. */
  readonly userKey: Uint8Array;
}

export interface SignedWord {
  readonly party: number;
  /** Digest of the party's share for a user; empty otherwise. */
  readonly own: Uint8Array;
  /** 65 bytes. */
  readonly signature: Uint8Array;
}

/** What an enclave answers; contracts check it. */
export interface EnclaveAnswer {
  readonly epoch: bigint;
  readonly body: Uint8Array;
  /** Ascending by party. */
  readonly words: readonly SignedWord[];
}

/** Results that the enclave has answered, to be signed together (NodeService.SignBatch). */
export interface EnclaveBatch {
  readonly epoch: bigint;
  /** shared/gateway/batch.ts; ascending. */
  readonly leaves: readonly Uint8Array[];
}

export interface EnclaveStatement {
  readonly statement: Uint8Array;
  readonly signature: Uint8Array;
}

/** How far the node's state has come, as the registry takes it (NodeService.SignAnchor). */
export interface EnclaveAnchor {
  readonly anchor: NodeAnchor;
  readonly signature: Uint8Array;
}

/** The enclave of this parent's node, as far as a connector needs it. Every method throws KmsError with the enclave's code. */
export interface Enclave {
  /** Which member the node is; 0 before it has joined. */
  party(signal: AbortSignal): Promise<number>;
  answer(request: EnclaveRequest, signal: AbortSignal): Promise<EnclaveAnswer>;
  signBatch(batch: EnclaveBatch, signal: AbortSignal): Promise<readonly SignedWord[]>;
  signAnchor(signal: AbortSignal): Promise<EnclaveAnchor>;
  carryOut(
    request: Pick<EnclaveRequest, 'claim' | 'evidence'>,
    signal: AbortSignal,
  ): Promise<EnclaveStatement>;
}

export interface CertifiedKeys {
  /** The record of a key as the node serves it, piece by piece. @throws {KmsError} UNKNOWN_KEY, UNAVAILABLE, ... */
  certifiedKey(key: KeyId, signal: AbortSignal): AsyncIterable<Uint8Array>;
}

const HANDSHAKE_TIMEOUT_MS = 10_000;
/** The enclave waits 10 s for the others' signatures, after it has decrypted. */
const ANSWER_TIMEOUT_MS = 120_000;
/** It waits 2 s for their signatures over a batch. */
const BATCH_TIMEOUT_MS = 10_000;
const DESCRIBE_TIMEOUT_MS = 5_000;
const KEY_TIMEOUT_MS = 120_000;
const WINDOW_BYTES = 4 << 20;
/** A user's share of 16 MiB of ciphertexts, with room. */
const MAX_MESSAGE_BYTES = 20 << 20;
const MAX_KEY_BYTES = 512 << 20;
const MAX_WORDS = 64;
const WORD_BYTES = 32;

/**
 * NodeService of the enclave behind a link, by its ingress service, as any client's bytes come in. Connects at the first call, and again
 * after the connection was lost.
 *
 * The enclave is not authenticated, and need not be. What is handed to it is public, all of it: claims, proofs and ciphertexts that
 * anybody may fetch. What comes back counts by its signatures alone, which contracts check. Whoever sat there instead would keep this
 * node from answering, which this parent can do by itself.
 */
export class EnclaveClient implements Enclave, CertifiedKeys {
  readonly #link: Link<Duplex>;
  #opening: Promise<Client<typeof NodeService>> | undefined;
  #manager: Http2SessionManager | undefined;
  #socket: TLSSocket | undefined;

  constructor(link: Link<Duplex>) {
    this.#link = link;
  }

  party(signal: AbortSignal): Promise<number> {
    return this.#call(async (client) => {
      const options = { signal, timeoutMs: DESCRIBE_TIMEOUT_MS };
      return (await client.describe({}, options)).party;
    });
  }

  answer(request: EnclaveRequest, signal: AbortSignal): Promise<EnclaveAnswer> {
    return this.#call(async (client) => {
      const { claim, evidence, envelopes, userKey } = request;
      const asked = { claim, evidence, envelopes: [...envelopes], userKey };
      const { epoch, body, words } = await client.answer(asked, { signal, timeoutMs: ANSWER_TIMEOUT_MS });
      requireWords(words);
      return { epoch, body, words };
    });
  }

  signBatch({ epoch, leaves }: EnclaveBatch, signal: AbortSignal): Promise<readonly SignedWord[]> {
    return this.#call(async (client) => {
      const options = { signal, timeoutMs: BATCH_TIMEOUT_MS };
      const { words } = await client.signBatch({ epoch, leaves: [...leaves] }, options);
      requireWords(words);
      return words;
    });
  }

  signAnchor(signal: AbortSignal): Promise<EnclaveAnchor> {
    return this.#call(async (client) => {
      const options = { signal, timeoutMs: DESCRIBE_TIMEOUT_MS };
      const { identity, version, state, auditHead, signature } = await client.signAnchor({}, options);
      const words = [identity, state, auditHead];
      if (words.some(({ length }) => length !== WORD_BYTES) || signature.length !== SIGNATURE_BYTES) {
        throw new KmsError('BAD_ENCODING', 'the enclave answers something else');
      }
      return { anchor: { identity, version, state, auditHead }, signature };
    });
  }

  carryOut(
    { claim, evidence }: Pick<EnclaveRequest, 'claim' | 'evidence'>,
    signal: AbortSignal,
  ): Promise<EnclaveStatement> {
    return this.#call(async (client) => {
      for await (const { statement, signature } of client.carryOut({ claim, evidence }, { signal })) {
        if (statement.length > 0 && signature.length === SIGNATURE_BYTES) return { statement, signature };
      }
      throw new KmsError('UNAVAILABLE', 'the enclave ended before it was done');
    });
  }

  async *certifiedKey(key: KeyId, signal: AbortSignal): AsyncIterable<Uint8Array> {
    let size = 0;
    try {
      const options = { signal, timeoutMs: KEY_TIMEOUT_MS };
      for await (const { chunk } of (await this.#client()).getKey({ keyId: fromHex(key) }, options)) {
        size += chunk.length;
        if (size > MAX_KEY_BYTES) throw new KmsError('TOO_LARGE', 'the key record is too large');
        yield chunk;
      }
    } catch (error) {
      throw enclaveFault(error);
    }
  }

  close(): void {
    this.#opening = undefined;
    this.#manager?.abort();
    this.#manager = undefined;
    this.#socket?.destroy();
    this.#socket = undefined;
  }

  async #call<T>(task: (client: Client<typeof NodeService>) => Promise<T>): Promise<T> {
    try {
      return await task(await this.#client());
    } catch (error) {
      throw enclaveFault(error);
    }
  }

  #client(): Promise<Client<typeof NodeService>> {
    this.#opening ??= this.#open().catch((error: unknown) => {
      this.close();
      throw error;
    });
    return this.#opening;
  }

  async #open(): Promise<Client<typeof NodeService>> {
    const socket = await this.#connect();
    this.#socket = socket;
    socket.once('close', () => {
      if (this.#socket === socket) this.close();
    });
    const baseUrl = 'https://node';
    const settings = { initialWindowSize: WINDOW_BYTES };
    const manager = new Http2SessionManager(baseUrl, {}, { createConnection: () => socket, settings });
    this.#manager = manager;
    const transport = createGrpcTransport({
      baseUrl,
      sessionManager: {
        authority: manager.authority,
        request: async (...args) => readEagerly(await manager.request(...args)),
        notifyResponseByteRead: (stream) => manager.notifyResponseByteRead(stream),
      },
      readMaxBytes: MAX_MESSAGE_BYTES,
      acceptCompression: [],
    });
    return createClient(NodeService, transport);
  }

  async #connect(): Promise<TLSSocket> {
    const stream = await this.#link.connect('ingress');
    stream.on('error', () => stream.destroy());
    const socket = connectTls({
      ...{ socket: stream, ALPNProtocols: ['h2'], rejectUnauthorized: false },
      ...{ minVersion: 'TLSv1.3', ecdhCurve: 'X25519MLKEM768' },
    });
    // Stays for the socket's life: until HTTP/2 has it, nobody else would take its errors.
    socket.on('error', () => socket.destroy());
    socket.once('close', () => stream.destroy());
    try {
      await once(socket, 'secureConnect', { signal: AbortSignal.timeout(HANDSHAKE_TIMEOUT_MS) });
      if (socket.destroyed) throw new KmsError('UNAVAILABLE', 'the enclave hung up');
      return socket;
    } catch (cause) {
      socket.destroy();
      if (codeOf(cause) !== 'INTERNAL') throw cause;
      throw new KmsError('UNAVAILABLE', 'no enclave answers behind the link', { cause });
    }
  }
}

function requireWords(words: readonly SignedWord[]): void {
  const areGood =
    words.length <= MAX_WORDS &&
    words.every(({ signature, party }) => signature.length === SIGNATURE_BYTES && party >= 1);
  if (!areGood) throw new KmsError('BAD_ENCODING', 'the enclave answers something else');
}
