import { randomBytes } from 'node:crypto';
import { ed25519 } from '@noble/curves/ed25519.js';
import type { Committee } from '../../../shared/committee.ts';
import { type Preset, presetByName, primesAt } from '../../../shared/fhe/presets.ts';
import { digest, epochId, keyId, type PartyId, partyId } from '../../../shared/ids.ts';
import { Kernel } from '../../../shared/math/kernel/kernel.ts';
import { type Residues, Ring } from '../../../shared/math/ring.ts';
import { noble } from '../../../shared/noble.ts';
import type { Signer } from '../../../shared/primitives.ts';
import { UserDecryption } from '../../../shared/protocol/user-decryption/combine.ts';
import { generateUserKey } from '../../../shared/protocol/user-decryption/hpke.ts';
import {
  type ShareScope,
  sealShare,
  userKeyDigest,
} from '../../../shared/protocol/user-decryption/sealed-share.ts';

export const rng = (sizeBytes: number): Uint8Array => new Uint8Array(randomBytes(sizeBytes));
const kernel = await Kernel.load();
export const preset: Preset = presetByName('test-4096');
export const primes = primesAt(preset, preset.decryptionLevel);
export const ring = new Ring(kernel, preset.degree, primes);
const modulus = primes.reduce((product, prime) => product * prime, 1n);
export const user = await generateUserKey(rng);

function randomBelow(bound: bigint): bigint {
  return BigInt(`0x${Buffer.from(rng(40)).toString('hex')}`) % bound;
}

export function signerOf(party: number): Signer {
  const seed = new Uint8Array(32).fill(party);
  return { publicKey: ed25519.getPublicKey(seed), sign: (message) => ed25519.sign(message, seed) };
}

/** A ciphertext's c0, and Shamir shares of d with c0 + d = round(Q m / p) + noise; all by bigints. */
export class Dealt {
  readonly of: Committee;
  readonly kind: 'scalar' | 'vector';
  readonly plaintext: bigint[];
  readonly c0: Residues;
  readonly shares = new Map<PartyId, Residues>();
  readonly scope: ShareScope;

  constructor(of: Committee, kind: 'scalar' | 'vector') {
    this.of = of;
    this.kind = kind;
    const count = kind === 'scalar' ? 1 : preset.degree;
    const p = preset.plainModulus;
    this.plaintext = Array.from({ length: count }, () => randomBelow(p));
    this.c0 = new BigUint64Array(ring.length);
    for (const party of of.parties) this.shares.set(party, new BigUint64Array(count * primes.length));
    for (const [i, m] of this.plaintext.entries()) {
      const c0 = randomBelow(modulus);
      const noise = randomBelow(modulus / (4n * p)) - modulus / (8n * p);
      const d = (modulus * m) / p + noise - c0;
      for (const [j, prime] of primes.entries()) {
        this.c0[j * preset.degree + i] = c0 % prime;
        const polynomial = [d, ...Array.from({ length: of.t }, () => randomBelow(prime))];
        for (const party of of.parties) {
          const value = polynomial.reduceRight((sum, coefficient) => sum * BigInt(party) + coefficient, 0n);
          this.shares.get(party)![j * count + i] = ((value % prime) + prime) % prime;
        }
      }
    }
    this.scope = {
      request: rng(32),
      networkId: digest('11'.repeat(32)),
      key: keyId('22'.repeat(32)),
      epoch: epochId(0),
      ciphertext: digest('33'.repeat(32)),
      userKey: userKeyDigest(noble, user.publicKey),
      kind,
      level: preset.decryptionLevel,
    };
  }

  collector(): UserDecryption {
    return new UserDecryption({
      scope: this.scope,
      committee: this.of,
      identities: new Map(this.of.parties.map((party) => [party, signerOf(party).publicKey])),
      privateKey: user.privateKey,
      primitives: noble,
      ring,
      preset,
      c0: this.c0,
      rng,
    });
  }

  sealed(
    party: number,
    edit: (share: Residues) => Residues = (share) => share,
    scope = this.scope,
    userPublicKey = user.publicKey,
  ): Promise<Uint8Array> {
    const id = partyId(party);
    const share = edit(this.shares.get(id)!.slice());
    return sealShare(scope, { party: id, signer: signerOf(party) }, share, userPublicKey, noble, rng);
  }
}
