import { type ChainAccount, chainAccount } from '../../gateway/adapter/account.ts';
import { hexOf } from '../../gateway/adapter/chain-data.ts';
import { KmsError } from '../../shared/errors.ts';
import { signDigest } from '../../shared/gateway/signature.ts';

/** An account of a person or an application: it pays for transactions, and signs permits and inputs. */
export interface Wallet extends ChainAccount {
  /** @param digest of typed data, 32 bytes @returns r, s, v */
  signDigest(digest: Uint8Array): Promise<Uint8Array>;
}

/** One whose key is in this process. @param secret 32 bytes, secret; kept for as long as the wallet is @throws {KmsError} BAD_INPUT */
export function walletOf(secret: Uint8Array): Wallet {
  const kept = Uint8Array.from(secret);
  const account = accountOf(kept);
  return { ...account, signDigest: async (digest) => signDigest(digest, kept) };
}

function accountOf(secret: Uint8Array): ChainAccount {
  try {
    return chainAccount(hexOf(secret));
  } catch {
    // Without its cause, which may show the key.
    throw new KmsError('BAD_INPUT', 'these bytes are no secp256k1 key of an account');
  }
}
