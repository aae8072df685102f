import { serializeTransaction } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { KmsError } from '../../shared/errors.ts';
import type { Hex } from './chain-data.ts';
import { readLimitedText } from './durable-file.ts';

/** A transaction of type 2 (EIP-1559) before its signature. */
export interface Unsigned {
  readonly chainId: number;
  readonly nonce: number;
  readonly to: Hex;
  readonly data: Hex;
  readonly value: bigint;
  readonly gas: bigint;
  readonly maxFeePerGas: bigint;
  readonly maxPriorityFeePerGas: bigint;
}

/** An account that pays for transactions. Its key moves fees and nothing else: no result depends on it. */
export interface ChainAccount {
  /** 20 bytes, lower case. */
  readonly address: Hex;
  /** @returns the raw transaction */
  sign(transaction: Unsigned): Promise<Hex>;
}

/** @param secret 32 bytes, secret */
export function chainAccount(secret: Hex): ChainAccount {
  const account = privateKeyToAccount(secret);
  return {
    address: account.address.toLowerCase() as Hex,
    sign: (transaction) =>
      account.signTransaction({ type: 'eip1559', ...transaction }, { serializer: serializeTransaction }),
  };
}

/** @param path a file of 64 hex digits, with or without 0x @throws {KmsError} BAD_INPUT, STORE_FAILED */
export async function readAccount(path: string): Promise<ChainAccount> {
  const text = (await readLimitedText(path, 128))?.trim();
  const digits = text?.replace(/^0x/, '');
  if (digits === undefined || !/^[0-9a-f]{64}$/.test(digits)) {
    throw new KmsError('BAD_INPUT', `${path} does not hold an account's key: 64 lower-case hex digits`);
  }
  return chainAccount(`0x${digits}`);
}
