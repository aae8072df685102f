import { systemRng } from '../../enclave/primitives.ts';
import { type Committee, committee, corruptSets } from '../../shared/committee.ts';
import { openEnvelope, sealEnvelope } from '../../shared/fhe/envelope.ts';
import { inputBound } from '../../shared/fhe/noise.ts';
import { type Preset, presetByName } from '../../shared/fhe/presets.ts';
import { writeCiphertext } from '../../shared/fhe/seal/ciphertext.ts';
import { encodeValue, type Value } from '../../shared/fhe/value.ts';
import { digest, type KeyId, keyId, type PartyId, partyId } from '../../shared/ids.ts';
import type { Kernel } from '../../shared/math/kernel/kernel.ts';
import { type Residues, Ring } from '../../shared/math/ring.ts';
import { RobustDecoder } from '../../shared/math/robust-decoder.ts';
import { PartialDecryptor } from '../../shared/protocol/decryption/partial.ts';
import { type DecryptionTask, taskOf } from '../../shared/protocol/decryption/task.ts';
import type { Membership } from '../../shared/protocol/machine.ts';
import { KeySeeds, setsHeldBy } from '../../shared/protocol/prss/seeds.ts';
import { PrssShares } from '../../shared/protocol/prss/shares.ts';
import { concat } from '../../shared/wire/bytes.ts';
import { memberships } from '../simulator/simulation.ts';

const TRANSCRIPT = digest('7a'.repeat(32));

/** A key of the default preset whose seeds a dealer hands out, instead of a key generation: for measuring only. */
export class DealtKey {
  readonly kernel: Kernel;
  readonly committee: Committee;
  readonly preset: Preset = presetByName('bfv-8192');
  readonly id: KeyId = keyId('5b'.repeat(32));
  /** Over the data primes. */
  readonly dataRing: Ring;
  readonly memberships: ReadonlyMap<PartyId, Membership>;
  readonly #seeds: readonly Uint8Array[];
  readonly #decryptors = new Map<PartyId, PartialDecryptor>();
  #secret: Residues | undefined;

  constructor(kernel: Kernel, n: number, t: number) {
    this.kernel = kernel;
    this.committee = committee(n, t);
    this.dataRing = new Ring(kernel, this.preset.degree, this.preset.dataPrimes);
    this.memberships = memberships(this.committee, 'bench');
    this.#seeds = corruptSets(this.committee).map(() => systemRng(32));
  }

  /** Seeds as they come out of the sealed store. */
  seeds(party: PartyId): KeySeeds {
    const held = setsHeldBy(this.committee, party).map((set) => this.#seeds[set] ?? new Uint8Array(32));
    return new KeySeeds(this.committee, party, concat(...held));
  }

  membership(party: PartyId): Membership {
    const membership = this.memberships.get(party);
    if (membership === undefined) throw new RangeError(`no party ${party}`);
    return membership;
  }

  prss(party: PartyId, seeds: KeySeeds = this.seeds(party)): PrssShares {
    const { primitives, epoch } = this.membership(party);
    return new PrssShares(primitives, this.committee, party, { key: this.id, epoch }, seeds);
  }

  /** A party's share of the key, expanded from its seeds. */
  load(party: PartyId, seeds: KeySeeds): PartialDecryptor {
    return new PartialDecryptor(
      this.kernel,
      this.committee,
      this.preset,
      this.prss(party, seeds),
      TRANSCRIPT,
    );
  }

  /** The same, loaded once. */
  decryptor(party: PartyId): PartialDecryptor {
    const decryptor = this.#decryptors.get(party) ?? this.load(party, this.seeds(party));
    this.#decryptors.set(party, decryptor);
    return decryptor;
  }

  /** Envelope of a fresh encryption, made with the secret key and without an error: size and form are real. */
  encrypt(value: Value): Uint8Array {
    const { dataRing, preset, kernel } = this;
    const c1 = dataRing.uniform(systemRng(24 * dataRing.length));
    const product = c1.slice();
    dataRing.ntt(product);
    const masked = dataRing.mul(product, this.#secretNtt());
    dataRing.intt(masked);
    const c0 = dataRing.sub(scaledUp(dataRing, preset, encodeValue(kernel, preset, value)), masked);
    const body = writeCiphertext(preset, { level: preset.levels, c0, c1 });
    return sealEnvelope({ keyId: this.id, preset, kind: value.kind, bound: inputBound(preset) }, body);
  }

  task(envelope: Uint8Array): DecryptionTask {
    return taskOf(openEnvelope(envelope, this.membership(partyId(1)).primitives), () => this.dataRing);
  }

  #secretNtt(): Residues {
    if (this.#secret === undefined) {
      const mask = { role: 's', transcript: TRANSCRIPT, preset: this.preset.name } as const;
      const parties = this.committee.parties.slice(0, this.committee.decodingQuorum);
      const shares = new Map(parties.map((party) => [party, this.prss(party).smallNtt(this.dataRing, mask)]));
      this.#secret = new RobustDecoder(this.dataRing, this.committee, systemRng).tryDecode(shares)?.value;
      if (this.#secret === undefined) throw new Error('the dealt shares are not of one secret');
    }
    return this.#secret;
  }
}

/** round(Q*m/p) of every coefficient. */
function scaledUp(ring: Ring, { plainModulus }: Preset, plaintext: BigUint64Array): Residues {
  const whole = ring.primes.reduce((product, q) => product * q, 1n);
  const scaled = ring.zero();
  for (const [i, m] of plaintext.entries()) {
    const x = (2n * whole * m + plainModulus) / (2n * plainModulus);
    for (const [j, q] of ring.primes.entries()) scaled[j * ring.degree + i] = x % q;
  }
  return scaled;
}
