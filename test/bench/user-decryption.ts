import { systemRng } from '../../enclave/primitives.ts';
import { partyId } from '../../shared/ids.ts';
import { noble } from '../../shared/noble.ts';
import type { DecryptionTask } from '../../shared/protocol/decryption/task.ts';
import { UserDecryption } from '../../shared/protocol/user-decryption/combine.ts';
import { generateUserKey } from '../../shared/protocol/user-decryption/hpke.ts';
import {
  type ShareScope,
  sealShare,
  userKeyDigest,
} from '../../shared/protocol/user-decryption/sealed-share.ts';
import type { UserKey } from '../../shared/protocol/user-decryption/user-key.ts';
import type { DealtKey } from './dealt-key.ts';
import { sample } from './decryption.ts';
import { type Job, timed } from './job.ts';
import type { Workbench } from './workbench.ts';

const user = await generateUserKey(systemRng);

/** Both ends of a user decryption of a vector at (4,1). */
export function userDecryptionJobs(bench: Workbench): readonly Job[] {
  return [sealing(bench), combining(bench)];
}

function sealing(bench: Workbench): Job {
  const about =
    "encrypt a vector's share to the user (X-Wing HPKE) and sign it: one party's work after the partial";
  return timed({ name: 'user-share-seal', unit: 'ms', about }, { runs: 40, calls: 4 }, () => {
    const key = bench.key(4, 1);
    const task = key.task(key.encrypt(sample(key, 'vector')));
    const share = key.decryptor(partyId(1)).vector(task);
    return () => sealed(key, task, 1, share);
  });
}

/** With the portable primitives of a browser. */
function combining(bench: Workbench): Job {
  const about =
    'the user: verify, decrypt and decode 3 shares of a vector, primitives in JavaScript as in a browser';
  return timed({ name: 'user-combine-vector-4-1', unit: 'ms', about }, { runs: 30 }, () => {
    const key = bench.key(4, 1);
    const task = key.task(key.encrypt(sample(key, 'vector')));
    const parties = key.committee.parties.slice(0, key.committee.decodingQuorum);
    const shares = parties.map((party) => sealed(key, task, party, key.decryptor(party).vector(task)));
    return async () => {
      const decryption = collector(key, task);
      for (const share of shares) await decryption.add(await share);
      if (decryption.result === undefined) throw new Error('the user decrypted nothing');
    };
  });
}

function scopeOf(key: DealtKey, { ciphertext, kind }: DecryptionTask, { publicKey }: UserKey): ShareScope {
  const { networkId, epoch, primitives } = key.membership(partyId(1));
  return {
    request: new Uint8Array(32),
    networkId,
    key: key.id,
    epoch,
    ciphertext,
    userKey: userKeyDigest(primitives, publicKey),
    kind,
    level: key.preset.decryptionLevel,
  };
}

function sealed(
  key: DealtKey,
  task: DecryptionTask,
  party: number,
  share: BigUint64Array,
): Promise<Uint8Array> {
  const { primitives, signer, self } = key.membership(partyId(party));
  return sealShare(
    scopeOf(key, task, user),
    { party: self, signer },
    share,
    user.publicKey,
    primitives,
    systemRng,
  );
}

function collector(key: DealtKey, task: DecryptionTask): UserDecryption {
  return new UserDecryption({
    scope: scopeOf(key, task, user),
    committee: key.committee,
    identities: key.membership(partyId(1)).identities,
    privateKey: user.privateKey,
    primitives: noble,
    ring: key.decryptor(partyId(1)).ring,
    preset: key.preset,
    c0: task.c0,
    rng: systemRng,
  });
}
