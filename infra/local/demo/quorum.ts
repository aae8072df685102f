import { randomInt } from 'node:crypto';
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { bytesToHex, concatHex, isHex, keccak256 } from 'viem';
import { DecryptionDesk } from '../../../enclave/decryption-desk.ts';
import { honestDecryptor, KeyRing } from '../../../enclave/key-ring.ts';
import { systemRng } from '../../../enclave/primitives.ts';
import { codeOf, KmsError } from '../../../shared/errors.ts';
import { openEnvelope } from '../../../shared/fhe/envelope.ts';
import type { Value } from '../../../shared/fhe/value.ts';
import { addressOf, signDigest } from '../../../shared/gateway/signature.ts';
import type { PartyId } from '../../../shared/ids.ts';
import { peerMessage } from '../../../shared/protocol/peer-message.ts';
import { concat } from '../../../shared/wire/bytes.ts';
import { decode } from '../../../shared/wire/codec.ts';
import { type CertifiedKey, certifiedKey } from '../../../test/adversary/certified-key.ts';
import { LocalAccount } from '../chains/account.ts';
import { compiled } from '../chains/gateway.ts';
import { expectValue } from './computation.ts';
import type { Stage } from './stage.ts';

const [N, T] = [13, 4];
const QUORUM = 2 * T + 1;
const LIMITS = { waitMs: 2_000, graceMs: 50, remembered: 16 };
const SEALS = 4;

/**
 * Thirteen parties, four of whom may be corrupt: eight can neither decrypt nor speak for the committee, nine can. The parties are the
 * enclave's own code in this process; the contract is a verifier on the first host chain.
 */
export async function refuseEight(stage: Stage): Promise<string> {
  const key = await certifiedKey({ n: N, t: T });
  const value: Value = { kind: 'scalar', value: BigInt(randomInt(1 << SEALS)) };
  const eight = await decryptedBy(key, QUORUM - 1, value).then(
    () => 'a value',
    (error: unknown) => codeOf(error),
  );
  if (eight !== 'NOT_ENOUGH_PARTIES') throw new KmsError('INTERNAL', `eight of thirteen get ${eight}`);
  expectValue(await decryptedBy(key, QUORUM, value), value);
  await contractRefusesEight(stage);
  return 'eight of thirteen get no value and no contract believes them; nine do both';
}

/** By the first parties alone; the others are dead. */
async function decryptedBy(key: CertifiedKey, alive: number, value: Value): Promise<Value> {
  const up = key.parties.slice(0, alive);
  const desks = new Map<PartyId, DecryptionDesk>();
  for (const self of up) {
    const membership = key.membership(self);
    const keys = new KeyRing(membership, key.kernel, honestDecryptor);
    keys.add(key.finished(self));
    const send = (to: PartyId, payload: Uint8Array): void => {
      const message = decode(peerMessage, payload);
      setImmediate(() => message.kind === 'decryption-share' && desks.get(to)?.receive(self, message));
    };
    const connected = (): readonly PartyId[] => up.filter((party) => party !== self);
    const ports = { membership, keys, send, connected, onWrongShares: () => {} };
    desks.set(self, new DecryptionDesk({ ...ports, kernel: key.kernel, rng: systemRng }, LIMITS));
  }
  const envelope = openEnvelope(key.encrypt(value), key.membership(up[0]!).primitives);
  const signal = AbortSignal.timeout(10 * LIMITS.waitMs);
  const opened = await Promise.all([...desks.values()].map((desk) => desk.open(envelope, signal)));
  return opened[0]!.value;
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
  if (!(await isBelieved(QUORUM)))
    throw new KmsError('INTERNAL', 'the contract does not believe nine of thirteen');
}
