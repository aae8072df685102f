import { randomInt } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Progress } from '../../client/cli/progress.ts';
import type { Decryption } from '../../client/sdk/decryption.ts';
import { KmsClient } from '../../client/sdk/kms-client.ts';
import type { NetworkKey } from '../../client/sdk/network-key.ts';
import { systemRng } from '../../enclave/primitives.ts';
import { codeOf, KmsError } from '../../shared/errors.ts';
import { DEFAULT_PRESET, presetByName } from '../../shared/fhe/presets.ts';
import type { Value } from '../../shared/fhe/value.ts';
import { generateUserKey } from '../../shared/protocol/user-decryption/hpke.ts';
import { attestAll, refuseForeignEnclave } from './demo-attestation.ts';
import { refuseRollback, restartSealed, startAllCold } from './demo-sealing.ts';
import type { DemoStep } from './demo-steps.ts';
import type { LocalNetwork } from './network.ts';

export const PRESET = presetByName(DEFAULT_PRESET);
/** Lives with the tests: the enclave itself has no switch for lying. */
const LIAR_ENTRY = fileURLToPath(new URL('../../test/faults/liar-enclave.ts', import.meta.url));
const HOSTILE_PARENT_ENTRY = fileURLToPath(new URL('../../test/faults/hostile-parent.ts', import.meta.url));
const PARTY_DOWN = 4;
const PARTY_RESTARTED = 2;
const PARTY_TURNED_BACK = 3;
const FOREIGNER = 3;
const HOSTAGE = 3;
/** Under a hostile parent; each goes through other misconduct. */
const HOSTILE_ROUNDS = 3;
const LIAR = 2;
const RESTART_TIMEOUT_MS = 30_000;
const RETRY_MS = 100;
const LIAR_ATTEMPTS = 5;

/** (a + b) * c of random numbers or vectors: the plaintexts are known here, and nowhere else until they are decrypted. */
interface Computation {
  readonly operands: readonly Value[];
  readonly expected: Value;
}

/** Everything the steps hand on to each other. */
export class Demo {
  readonly #network: LocalNetwork;
  readonly #client: KmsClient;
  readonly #progress: Progress;
  readonly #computations: readonly Computation[] = [computation('scalar'), computation('vector')];
  readonly culprits = new Set<number>();
  #key: NetworkKey | undefined;
  #ciphertexts: readonly (readonly Uint8Array[])[] = [];
  #results: readonly Uint8Array[] = [];

  constructor(network: LocalNetwork, client: KmsClient, progress: Progress) {
    this.#network = network;
    this.#client = client;
    this.#progress = progress;
  }

  /** @returns what happened, in a few words. @throws when anything is not as it must be */
  run(step: DemoStep): Promise<string> {
    switch (step) {
      case 'attest':
        return attestAll(this.#client.network);
      case 'keygen':
        return this.#keygen();
      case 'encrypt':
        return this.#encrypt();
      case 'eval':
        return this.#evaluate();
      case 'decrypt':
        return this.#decrypt();
      case 'decrypt-node-down':
        return this.#decryptWithout(PARTY_DOWN);
      case 'sealed-restart':
        return restartSealed(this.#network, PARTY_RESTARTED, () => this.#decryptOnce());
      case 'cold-start-all':
        return startAllCold(this.#network, () => this.#decryptOnce());
      case 'rollback-refused':
        return refuseRollback(this.#network, this.#client, PARTY_TURNED_BACK);
      case 'foreign-enclave-refused':
        return this.#decryptBesideForeigner(FOREIGNER);
      case 'hostile-parent':
        return this.#decryptBehindHostileParent(HOSTAGE);
      case 'decrypt-liar':
        return this.#decryptWithLiar(LIAR);
      case 'user-decrypt':
        return this.#userDecrypt();
    }
  }

  get #generated(): NetworkKey {
    if (this.#key === undefined) throw new KmsError('INTERNAL', 'there is no key yet');
    return this.#key;
  }

  async #keygen(): Promise<string> {
    this.#key = await this.#client.generateKey({
      preset: PRESET.name,
      onProgress: (phase, done, total) => this.#progress.update(phase, done, total),
    });
    return `${PRESET.name} key ${this.#key.id.slice(0, 12)}, signed by n - t nodes, held by none`;
  }

  async #encrypt(): Promise<string> {
    this.#ciphertexts = await encryptAll(this.#generated, this.#computations);
    return `3 numbers and 3 vectors of ${PRESET.degree}`;
  }

  async #evaluate(): Promise<string> {
    this.#results = await computeAll(this.#generated, this.#ciphertexts);
    return '(a + b) * c of the numbers and of the vectors, by node-seal';
  }

  /** @returns the parties named as culprits */
  async #decryptAll(
    results: readonly Uint8Array[],
    missing: readonly number[] = [],
    client: KmsClient = this.#client,
  ): Promise<readonly number[]> {
    const culprits = new Set<number>();
    for (const [i, { expected }] of this.#computations.entries()) {
      const decryption = await client.decrypt(results[i]!);
      expectValue(decryption, expected);
      for (const party of missing) {
        if (!decryption.missing.some((one) => one === party)) {
          throw new KmsError('INTERNAL', `node ${party} should not have answered`);
        }
      }
      for (const party of decryption.culprits) culprits.add(party);
    }
    return [...culprits];
  }

  async #decrypt(): Promise<string> {
    expectCulprits(await this.#decryptAll(this.#results), []);
    return 'both right; every node was asked, 2t + 1 agree';
  }

  /** New ciphertexts of known values: every node answers. */
  async #decryptOnce(): Promise<void> {
    await this.#everybodyAnswers();
    expectCulprits(await this.#decryptAll(await this.#recomputed()), []);
  }

  async #decryptWithout(party: number): Promise<string> {
    const results = await this.#recomputed();
    await this.#network.stopNode(party, { signal: 'SIGKILL' });
    try {
      expectCulprits(await this.#decryptAll(results, [party]), []);
    } finally {
      await this.#network.startNode(party);
      await this.#connected();
    }
    return `node ${party} killed; both right, by the others`;
  }

  /** The node's enclave runs on; what its parent does to its traffic is no fault of the node. */
  async #decryptBehindHostileParent(party: number): Promise<string> {
    await this.#network.replaceParent(party, HOSTILE_PARENT_ENTRY);
    try {
      using client = await KmsClient.connect({
        genesis: new Uint8Array(await readFile(this.#network.genesisFile)),
        configurations: new Uint8Array(await readFile(this.#network.configurationsFile)),
      });
      for (let round = 0; round < HOSTILE_ROUNDS; round++) {
        expectCulprits(await this.#decryptAll(await this.#recomputed(), [], client), []);
      }
    } finally {
      await this.#network.replaceParent(party);
    }
    await this.#connected();
    await this.#answering(party);
    expectCulprits(await this.#decryptAll(await this.#recomputed()), []);
    return `node ${party}'s parent garbles, drops, reorders: all right, nobody blamed`;
  }

  async #decryptBesideForeigner(party: number): Promise<string> {
    const { network } = this.#client;
    return refuseForeignEnclave(this.#network, network, party, async () => {
      expectCulprits(await this.#decryptAll(await this.#recomputed(), [party]), []);
    });
  }

  async #decryptWithLiar(party: number): Promise<string> {
    await this.#network.stopNode(party, { role: 'enclave' });
    await this.#network.startNode(party, { role: 'enclave', entry: LIAR_ENTRY });
    await this.#connected();
    let named: readonly number[] = [];
    // A result never waits long for the slowest share, and on a busy machine that may be the liar's.
    for (let attempt = 0; attempt < LIAR_ATTEMPTS && named.length === 0; attempt++) {
      named = await this.#decryptAll(await this.#recomputed());
    }
    expectCulprits(named, [party]);
    this.culprits.add(party);
    return `node ${party} sends garbage and is named; both right`;
  }

  /** Values that were never decrypted in public, so that no process but this one ever holds them. */
  async #userDecrypt(): Promise<string> {
    const user = await generateUserKey(systemRng);
    using _held = user.privateKey;
    const fresh = [computation('scalar'), computation('vector')];
    const results = await computeAll(this.#generated, await encryptAll(this.#generated, fresh));
    const liars = [...this.culprits];
    for (const [i, { expected }] of fresh.entries()) {
      const decryption = await this.#client.userDecrypt(results[i]!, user);
      expectValue(decryption, expected);
      expectCulprits(
        decryption.culprits.filter((party) => !this.culprits.has(party)),
        [],
      );
    }
    const despite = liars.length === 0 ? '' : `, despite node ${liars.join()}`;
    return `both right${despite}; the nodes saw sealed shares only`;
  }

  /** A node that starts belongs to no network for a moment, and is no peer until it has read its configuration. */
  async #connected(): Promise<void> {
    const deadlineMs = performance.now() + RESTART_TIMEOUT_MS;
    for (;;) {
      try {
        return await this.#network.connected();
      } catch (error) {
        if (codeOf(error) !== 'BAD_PEER' || performance.now() > deadlineMs) throw error;
        await sleep(RETRY_MS);
      }
    }
  }

  /** Until this client, too, reaches every node again. */
  async #everybodyAnswers(): Promise<void> {
    for (const { party } of this.#client.network.members) await this.#answering(party);
  }

  /** Until this client, too, reaches the node again. */
  async #answering(party: number): Promise<void> {
    const deadlineMs = performance.now() + RESTART_TIMEOUT_MS;
    for (;;) {
      const nodes = await this.#client.status();
      if (nodes.some((node) => node.party === party && node.up)) return;
      if (performance.now() > deadlineMs) throw new KmsError('TIMEOUT', `node ${party} does not answer`);
      await sleep(RETRY_MS);
    }
  }

  /** New ciphertexts of the same values: nodes remember what they have decrypted already. */
  async #recomputed(): Promise<readonly Uint8Array[]> {
    return computeAll(this.#generated, await encryptAll(this.#generated, this.#computations));
  }
}

function computation(kind: Value['kind']): Computation {
  const p = PRESET.plainModulus;
  const count = kind === 'scalar' ? 1 : PRESET.degree;
  const draw = (): BigUint64Array =>
    BigUint64Array.from({ length: count }, () => BigInt(randomInt(Number(p))));
  const [a, b, c] = [draw(), draw(), draw()];
  const asValue = (values: BigUint64Array): Value =>
    kind === 'scalar' ? { kind, value: values[0]! } : { kind, values };
  const expected = asValue(a.map((x, i) => ((x + b[i]!) * c[i]!) % p));
  return { operands: [a, b, c].map(asValue), expected };
}

async function encryptAll(
  key: NetworkKey,
  computations: readonly Computation[],
): Promise<readonly (readonly Uint8Array[])[]> {
  return Promise.all(
    computations.map(({ operands }) => Promise.all(operands.map((value) => key.encrypt(value)))),
  );
}

/** (a + b) * c of each. */
async function computeAll(
  key: NetworkKey,
  ciphertexts: readonly (readonly Uint8Array[])[],
): Promise<readonly Uint8Array[]> {
  using evaluator = await key.evaluator();
  return ciphertexts.map(([a, b, c]) => evaluator.mul(evaluator.add(a!, b!), c!));
}

function expectValue({ value }: Decryption, expected: Value): void {
  const text = ({ kind, ...rest }: Value): string => `${kind} ${Object.values(rest).join()}`;
  if (text(value) !== text(expected)) throw new KmsError('INTERNAL', 'the decrypted value is wrong');
}

function expectCulprits(culprits: readonly number[], expected: readonly number[]): void {
  if (culprits.join() !== expected.join()) {
    throw new KmsError('INTERNAL', `culprits are [${culprits}], expected [${expected}]`);
  }
}
