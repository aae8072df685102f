import { concat } from '../../shared/wire/bytes.ts';
import type { AttestationRequest, Nsm, NsmDescription, Pcr } from './nsm.ts';
import { encodeRequest, type NsmRequest } from './request.ts';
import { decodeResponse, type NsmResponse } from './response.ts';

/**
 * Carries one CBOR request to a security module and brings its answer.
 * @throws {KmsError} UNAVAILABLE
 */
export type NsmTransport = (request: Uint8Array) => Promise<Uint8Array>;

/** The security module behind a transport: the device, or its imitation. One request at a time, as the device has it. */
export class NsmClient implements Nsm {
  readonly #transport: NsmTransport;
  #last: Promise<unknown> = Promise.resolve();

  constructor(transport: NsmTransport) {
    this.#transport = transport;
  }

  async attest(request: AttestationRequest): Promise<Uint8Array> {
    return (await this.#ask('Attestation', { kind: 'Attestation', ...request })).document;
  }

  async describePcr(index: number): Promise<Pcr> {
    const { lock, data } = await this.#ask('DescribePCR', { kind: 'DescribePCR', index });
    return { isLocked: lock, value: data };
  }

  async extendPcr(index: number, data: Uint8Array): Promise<Uint8Array> {
    return (await this.#ask('ExtendPCR', { kind: 'ExtendPCR', index, data })).data;
  }

  async lockPcr(index: number): Promise<void> {
    await this.#ask('LockPCR', { kind: 'LockPCR', index });
  }

  /** The device gives a few hundred bytes at a time, never none. */
  async random(sizeBytes: number): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    for (let have = 0; have < sizeBytes; ) {
      const { random } = await this.#ask('GetRandom', { kind: 'GetRandom' });
      parts.push(random.slice(0, sizeBytes - have));
      have += random.length;
      random.fill(0);
    }
    const all = concat(...parts);
    for (const part of parts) part.fill(0);
    return all;
  }

  async describe(): Promise<NsmDescription> {
    return (await this.#ask('DescribeNSM', { kind: 'DescribeNSM' })).description;
  }

  async #ask<Kind extends NsmResponse['kind']>(
    kind: Kind,
    request: NsmRequest,
  ): Promise<Extract<NsmResponse, { kind: Kind }>> {
    const bytes = encodeRequest(request);
    const answer = this.#last.then(() => this.#transport(bytes));
    this.#last = answer.catch(() => {});
    return decodeResponse(await answer, kind);
  }
}
