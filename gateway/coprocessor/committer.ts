import { sha256 } from '@noble/hashes/sha2.js';
import { encodeFunctionData } from 'viem';
import { ciphertextCommitment } from '../../shared/gateway/commitments.ts';
import { fromHex, toHex, utf8 } from '../../shared/wire/bytes.ts';
import type { Hex } from '../adapter/chain-data.ts';
import { read } from '../adapter/contract.ts';
import { eventsBackwards, topicOf } from '../adapter/events.ts';
import type { GatewayContracts } from '../adapter/network-contracts.ts';
import type { Sender, SendOutcome } from '../adapter/sender.ts';
import type { KnownCiphertext } from './ledger.ts';

/** A right as a host chain's AccessControl has it. */
export interface KnownAccess {
  readonly handle: Hex;
  readonly hostChainId: bigint;
  readonly account: Hex;
  readonly version: bigint;
  readonly allowed: boolean;
}

export type Statement =
  | { readonly kind: 'ciphertext'; readonly ciphertext: KnownCiphertext }
  | { readonly kind: 'access'; readonly access: KnownAccess };

interface Waiting {
  readonly statement: Statement;
  readonly resolve: (isSaid: boolean) => void;
  readonly reject: (error: unknown) => void;
}

const MAX_BATCH = 24;
/** For what comes at the same time to share a transaction. */
const GATHER_MS = 20;

/** Says on the gateway what this coprocessor knows, many statements in one transaction. */
export class Committer {
  readonly #gateway: GatewayContracts;
  readonly #sender: Sender;
  readonly #firstBlock: bigint;
  #waiting: Waiting[] = [];
  #timer: NodeJS.Timeout | undefined;

  /** @param firstBlock of the gateway's contracts */
  constructor(gateway: GatewayContracts, sender: Sender, firstBlock: bigint) {
    [this.#gateway, this.#sender, this.#firstBlock] = [gateway, sender, firstBlock];
  }

  /** @returns false if the gateway refuses it now @throws {KmsError} what Sender.send throws */
  say(statement: Statement): Promise<boolean> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ statement, resolve, reject });
      if (this.#waiting.length >= MAX_BATCH) this.#flush();
      else this.#timer ??= setTimeout(() => this.#flush(), GATHER_MS);
    });
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const batch = this.#waiting;
    this.#waiting = [];
    if (batch.length > 0) void this.#sayAll(batch);
  }

  async #sayAll(batch: readonly Waiting[]): Promise<void> {
    try {
      const open: Waiting[] = [];
      for (const one of batch) {
        if (await this.#isSaid(one.statement)) one.resolve(true);
        else open.push(one);
      }
      if (open.length === 0) return;
      const { kind } = await this.#send(open.map(({ statement }) => statement));
      if (kind === 'mined') {
        for (const { resolve } of open) resolve(true);
      } else if (kind === 'already') {
        // An earlier process has said one of them meanwhile: the others without it.
        await this.#sayAll(open);
      } else if (open.length > 1) {
        // One that is refused refuses all: each on its own.
        await Promise.all(open.map((one) => this.#sayAll([one])));
      } else {
        open[0]?.resolve(false);
      }
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  }

  #send(statements: readonly Statement[]): Promise<SendOutcome> {
    const { address, abi } = this.#gateway.ciphertexts;
    const said = statements.flatMap((one) => (one.kind === 'ciphertext' ? [one.ciphertext] : []));
    const rights = statements.flatMap((one) => (one.kind === 'access' ? [one.access] : []));
    const data = encodeFunctionData({ abi, functionName: 'commit', args: [said, rights] });
    const isAnySaid = async (): Promise<boolean> => {
      for (const statement of statements) if (await this.#isSaid(statement)) return true;
      return false;
    };
    return this.#sender.send(`commit-${toHex(sha256(utf8(data)))}`, { to: address, data }, isAnySaid);
  }

  /** By this coprocessor, or by so many that one more changes nothing. */
  async #isSaid(statement: Statement): Promise<boolean> {
    const { ciphertexts } = this.#gateway;
    if (statement.kind === 'access') {
      const { handle, hostChainId, account, version } = statement.access;
      return (await read(ciphertexts, 'access', [handle, hostChainId, account])) >> 1n >= version;
    }
    const { ciphertext } = statement;
    const mine = commitmentOf(ciphertext);
    if ((await read(ciphertexts, 'commitments', [ciphertext.handle])) === mine) return true;
    const seen = topicOf(ciphertexts.abi, 'CiphertextSeen');
    const sender: Hex = `0x${this.#sender.address.slice(2).padStart(64, '0')}`;
    const topics = [seen, ciphertext.handle, sender];
    for await (const logs of eventsBackwards(
      ciphertexts.chain,
      ciphertexts.address,
      topics,
      this.#firstBlock,
    )) {
      if (logs.some((log) => log.data === mine)) return true;
    }
    return false;
  }
}

function commitmentOf(c: KnownCiphertext): Hex {
  const bytes = (value: Hex): Uint8Array => fromHex(value.slice(2));
  const { handle, keyId, digest, kind, level, bound, provenance } = c;
  return `0x${toHex(
    ciphertextCommitment({
      ...{ handle: bytes(handle), keyId: bytes(keyId), digest: bytes(digest), kind, level, bound },
      provenance: bytes(provenance),
    }),
  )}`;
}
