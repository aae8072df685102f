import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { bytesToHex, concatHex, isHex, keccak256 } from 'viem';
import { systemRng } from '../../../enclave/primitives.ts';
import { KmsError } from '../../../shared/errors.ts';
import { addressOf, signDigest } from '../../../shared/gateway/signature.ts';
import { concat } from '../../../shared/wire/bytes.ts';
import { LocalAccount } from '../chains/account.ts';
import { compiled } from '../chains/gateway.ts';
import type { Stage } from './stage.ts';

/** Lives with the tests: thirteen parties in one process. */
const THIRTEEN = fileURLToPath(new URL('../../../test/simulator/eight-of-thirteen.ts', import.meta.url));
const TIMEOUT_MS = 120_000;
const [N, T] = [13, 4];
const QUORUM = 2 * T + 1;

/**
 * Of thirteen parties, four of whom may be corrupt, eight can neither decrypt nor speak for the committee, and nine can. The parties run
 * the enclave's code in a simulator; the contract is a verifier on the first host chain.
 */
export async function refuseEight(stage: Stage): Promise<string> {
  const options = ['--disable-warning=ExperimentalWarning', THIRTEEN];
  const { stdout } = await promisify(execFile)(process.execPath, options, { timeout: TIMEOUT_MS });
  const { number, eight, nine }: Readonly<Record<string, string>> = JSON.parse(stdout);
  if (eight !== 'NOT_ENOUGH_PARTIES') throw new KmsError('INTERNAL', `eight of thirteen get ${eight}`);
  if (nine !== number) throw new KmsError('INTERNAL', `nine of thirteen get ${nine}, which is not ${number}`);
  await contractRefusesEight(stage);
  return 'eight of thirteen get no value and no contract believes them; nine do both';
}

async function contractRefusesEight({ places }: Stage): Promise<void> {
  const [host] = places.hosts;
  const account = new LocalAccount({ chainId: Number(host!.chainId), url: host!.url }, 0);
  const secrets = Array.from({ length: N }, () => systemRng(32));
  const signers = secrets.map((secret) => bytesToHex(addressOf(secp256k1.getPublicKey(secret, true))));
  const { chainId, registry } = places.gateway;
  const verifier = await account.deploy(compiled('KmsVerifier'), [chainId, registry, 0n, T, signers]);
  const statement = bytesToHex(systemRng(32));
  const domain = await account.read({ to: verifier, name: 'domain' });
  if (!isHex(domain)) throw new KmsError('INTERNAL', 'the verifier has no domain');
  const digest = keccak256(concatHex(['0x1901', domain, statement]), 'bytes');
  const isBelieved = (count: number): Promise<boolean> => {
    const signatures = secrets.slice(0, count).map((secret) => signDigest(digest, secret));
    const args = [0n, statement, bytesToHex(concat(...signatures))];
    return account.read({ to: verifier, name: 'verify', args }).then(
      () => true,
      (error: unknown) => {
        if (`${error}`.includes('NotEnoughSigners')) return false;
        throw error;
      },
    );
  };
  if (await isBelieved(QUORUM - 1)) throw new KmsError('INTERNAL', 'the contract believes eight of thirteen');
  if (!(await isBelieved(QUORUM))) throw new KmsError('INTERNAL', 'the contract does not believe nine');
}
