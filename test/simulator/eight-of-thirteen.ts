import { randomInt } from 'node:crypto';
import { DecryptionDesk } from '../../enclave/decryption-desk.ts';
import { honestDecryptor, KeyRing } from '../../enclave/key-ring.ts';
import { systemRng } from '../../enclave/primitives.ts';
import { codeOf } from '../../shared/errors.ts';
import { openEnvelope } from '../../shared/fhe/envelope.ts';
import type { PartyId } from '../../shared/ids.ts';
import { peerMessage } from '../../shared/protocol/peer-message.ts';
import { decode } from '../../shared/wire/codec.ts';
import { type CertifiedKey, certifiedKey } from '../adversary/certified-key.ts';

/**
 * Thirteen parties, four of whom may be corrupt, generate a key in this process and decrypt a random number with it: first eight of
 * them alone, then nine. Prints one JSON object: the number, and what came out for each, a number or an error's code.
 */

const LIMITS = { waitMs: 1_000, graceMs: 50, remembered: 16 };
const MODULUS = 1 << 16;

/** By the first parties; the others are dead. */
async function decryptedBy(key: CertifiedKey, alive: number, envelope: Uint8Array): Promise<string> {
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
  const opened = openEnvelope(envelope, key.membership(up[0]!).primitives);
  const signal = AbortSignal.timeout(60_000);
  const all = await Promise.allSettled([...desks.values()].map((desk) => desk.open(opened, signal)));
  const said = all.map((one) => {
    if (one.status === 'rejected') return codeOf(one.reason);
    return one.value.value.kind === 'scalar' ? `${one.value.value.value}` : 'a vector';
  });
  return [...new Set(said)].join();
}

const key = await certifiedKey({ n: 13, t: 4 });
const number = randomInt(MODULUS);
const envelope = key.encrypt({ kind: 'scalar', value: BigInt(number) });
const [eight, nine] = [await decryptedBy(key, 8, envelope), await decryptedBy(key, 9, envelope)];
process.stdout.write(`${JSON.stringify({ number: `${number}`, eight, nine })}\n`);
