import { hashTypedData } from 'viem';
import { bytesOf, type Hex } from '../../gateway/adapter/chain-data.ts';

/** What a submitter vouches for. */
export interface VouchedInput {
  readonly chainId: bigint;
  /** Address of the host chain's Submitters. */
  readonly verifier: Hex;
  /** Who calls Compute. */
  readonly application: Hex;
  readonly user: Hex;
  /** SHA-256 of the envelope. */
  readonly digest: Hex;
  readonly keyId: Hex;
  readonly kind: number;
}

/** Twin of Submitters.inputDigest(): nobody signs what an endpoint says is to be signed. @returns 32 bytes */
export function inputDigest({ chainId, verifier, ...message }: VouchedInput): Uint8Array {
  const hash = hashTypedData({
    domain: { name: 'Threshold KMS input', version: '1', chainId, verifyingContract: verifier },
    types: {
      Input: [
        { name: 'application', type: 'address' },
        { name: 'user', type: 'address' },
        { name: 'digest', type: 'bytes32' },
        { name: 'keyId', type: 'bytes32' },
        { name: 'kind', type: 'uint8' },
      ],
    },
    primaryType: 'Input',
    message,
  });
  return bytesOf(hash);
}
