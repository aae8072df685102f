import { Encryptor } from '../../client/seal/encryptor.ts';
import { openEnvelope } from '../../shared/fhe/envelope.ts';
import { keyBytesOf } from '../../shared/fhe/key-material.ts';
import { presetByName } from '../../shared/fhe/presets.ts';
import type { Value } from '../../shared/fhe/value.ts';
import type { PartyId } from '../../shared/ids.ts';
import { Kernel } from '../../shared/math/kernel/kernel.ts';
import { Ring } from '../../shared/math/ring.ts';
import { PartialDecryptor } from '../../shared/protocol/decryption/partial.ts';
import { type DecryptionTask, taskOf } from '../../shared/protocol/decryption/task.ts';
import type { FinishedKey, KeyGeneration } from '../../shared/protocol/keygen/keygen.ts';
import { keyMaterial } from '../../shared/protocol/keygen/material.ts';
import type { Membership } from '../../shared/protocol/machine.ts';
import { PrssShares } from '../../shared/protocol/prss/shares.ts';
import { keygenFactory } from '../simulator/committee-keys.ts';
import { Simulation } from '../simulator/simulation.ts';

/** A committee with a key it has generated, and node-seal to encrypt under it. */
export interface CertifiedKey {
  readonly kernel: Kernel;
  readonly parties: readonly PartyId[];
  membership(party: PartyId): Membership;
  finished(party: PartyId): FinishedKey;
  decryptor(party: PartyId): PartialDecryptor;
  encrypt(value: Value): Uint8Array;
  task(envelope: Uint8Array): DecryptionTask;
}

/** Key generation in the simulator, preset test-4096, then node-seal with the public key. */
export async function certifiedKey({ n, t } = { n: 4, t: 1 }): Promise<CertifiedKey> {
  const kernel = await Kernel.load();
  const sim = new Simulation<KeyGeneration>({
    ...{ n, t },
    seed: 'certified',
    factory: keygenFactory(kernel),
  });
  const { parties } = sim.committee;
  sim.start();
  sim.run(() => parties.every((party) => sim.machine(party)?.finished !== undefined));
  const finished = (party: PartyId): FinishedKey => {
    const key = sim.machine(party)?.finished;
    if (key === undefined) throw new Error(`party ${party} has no key`);
    return key;
  };
  const { record } = finished(parties[0]!);
  const preset = presetByName(record.request.preset);
  const { primitives } = sim.membership(parties[0]!);
  const { publicKey } = keyBytesOf(keyMaterial(primitives, kernel, record));
  const encryptor = await Encryptor.create(preset, record.key, publicKey);
  return {
    kernel,
    parties,
    finished,
    membership: (party) => sim.membership(party),
    decryptor(party) {
      const { committee, self, epoch } = sim.membership(party);
      const { seeds } = finished(party);
      if (seeds === undefined) throw new Error(`party ${party} has no seeds`);
      const prss = new PrssShares(primitives, committee, self, { key: record.key, epoch }, seeds);
      return new PartialDecryptor(kernel, committee, preset, prss, record.transcript);
    },
    encrypt: (value) => encryptor.encrypt(value),
    task: (envelope) =>
      taskOf(
        openEnvelope(envelope, primitives),
        ({ degree, dataPrimes }) => new Ring(kernel, degree, dataPrimes),
      ),
  };
}
