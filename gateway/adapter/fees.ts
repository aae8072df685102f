/** What a transaction offers, in wei per unit of gas (EIP-1559). */
export interface Fees {
  readonly maxFeePerGas: bigint;
  readonly maxPriorityFeePerGas: bigint;
}

/** What an account is ready to pay. */
export interface FeePolicy {
  /** Offered at first to whoever makes the block. */
  readonly tipWei: bigint;
  /** Never more than this per unit of gas. */
  readonly maxFeePerGasWei: bigint;
}

export const FEE_POLICY: FeePolicy = { tipWei: 1_000_000_000n, maxFeePerGasWei: 500_000_000_000n };

/** Room for the base fee to double. */
export function firstFees({ tipWei, maxFeePerGasWei }: FeePolicy, baseFeePerGas: bigint): Fees {
  return capped(2n * baseFeePerGas + tipWei, tipWei, maxFeePerGasWei);
}

/**
 * A quarter more of everything: pools take a replacement from an eighth more upwards.
 * @returns undefined if the policy does not allow that much
 */
export function raisedFees(policy: FeePolicy, before: Fees, baseFeePerGas: bigint): Fees | undefined {
  const fresh = firstFees(policy, baseFeePerGas);
  const fee = max(raised(before.maxFeePerGas), fresh.maxFeePerGas);
  const tip = max(raised(before.maxPriorityFeePerGas), fresh.maxPriorityFeePerGas);
  return fee > policy.maxFeePerGasWei ? undefined : capped(fee, tip, policy.maxFeePerGasWei);
}

function raised(value: bigint): bigint {
  return value + value / 4n + 1n;
}

function capped(fee: bigint, tip: bigint, most: bigint): Fees {
  const maxFeePerGas = fee < most ? fee : most;
  return { maxFeePerGas, maxPriorityFeePerGas: tip < maxFeePerGas ? tip : maxFeePerGas };
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
