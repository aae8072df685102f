import { fileURLToPath } from 'node:url';
import type { Decryption } from '../../../client/gateway/decryption.ts';
import type { Wallet } from '../../../client/gateway/wallet.ts';
import type { Hex } from '../../../gateway/adapter/chain-data.ts';
import { codeOf, KmsError } from '../../../shared/errors.ts';
import type { Value } from '../../../shared/fhe/value.ts';
import { refuseRollbackOfAll } from './anchors.ts';
import { attestAll, refuseForeignEnclave } from './attestation.ts';
import { type Computation, computation, expectValue, PRESET, randomValue } from './computation.ts';
import { generateDespite, generateWithout } from './keys.ts';
import { countVotes } from './oracle.ts';
import { refuseEight } from './quorum.ts';
import { refuseCloudOwner, refuseRollback, restartSealed, startAllCold } from './sealing.ts';
import type { Stage } from './stage.ts';
import type { DemoStep } from './steps.ts';

/** Lives with the tests: the enclave itself has no switch for lying. */
const LIAR_ENTRY = fileURLToPath(new URL('../../../test/faults/liar-enclave.ts', import.meta.url));
const HOSTILE_PARENT_ENTRY = fileURLToPath(
  new URL('../../../test/faults/hostile-parent.ts', import.meta.url),
);
const PARTY_DOWN = 4;
const PARTY_RESTARTED = 2;
const PARTY_TURNED_BACK = 3;
const CLOUD_OWNED = 1;
const COLLUDERS = [2];
const FOREIGNER = 3;
const HOSTAGE = 3;
/** Under a hostile parent; each goes through other misconduct. */
const HOSTILE_ROUNDS = 3;
const LIAR = 2;
/** Another one: who has been named is not named again for a while. */
const KEYGEN_LIAR = 4;
const LIAR_ATTEMPTS = 5;

/** What is computed on chain, and what must come out. */
interface Computed {
  readonly handle: Hex;
  readonly expected: Value;
}

/** Everything the steps hand on to each other. */
export class Demo {
  readonly #stage: Stage;
  readonly #computations: readonly Computation[] = [computation('scalar'), computation('vector')];
  /** Named by the others. */
  readonly culprits = new Set<number>();
  /** Lies from now on. */
  #liar: number | undefined;
  #inputs: readonly (readonly Hex[])[] = [];
  #results: readonly Computed[] = [];

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  /** @returns what happened, in a few words. @throws when anything is not as it must be */
  run(step: DemoStep): Promise<string> {
    const stage = this.#stage;
    const { network, kms } = stage;
    const decrypt = (): Promise<void> => stage.decryptOnce();
    switch (step) {
      case 'attest':
        return attestAll(kms.network);
      case 'keygen':
        return this.#keygen();
      case 'encrypt':
        return this.#encrypt();
      case 'eval':
        return this.#evaluate();
      case 'decrypt':
        return this.#decrypt();
      case 'oracle-callback':
        return countVotes(stage);
      case 'second-host-chain':
        return this.#useElsewhere();
      case 'wallet-user-decrypt':
        return this.#decryptForAnother();
      case 'decrypt-node-down':
        return this.#decryptWithout(PARTY_DOWN);
      case 'keygen-node-down':
        return generateWithout(stage, PARTY_DOWN);
      case 'keygen-liar':
        return this.#generateDespiteLiar();
      case 'eight-of-thirteen-refused':
        return refuseEight(stage);
      case 'sealed-restart':
        return restartSealed(network, PARTY_RESTARTED, decrypt);
      case 'cold-start-all':
        return startAllCold(network, decrypt);
      case 'rollback-refused':
        return refuseRollback({ network, makeSpareKey: () => stage.makeSpareKey() }, PARTY_TURNED_BACK);
      case 'rollback-of-all-refused':
        return refuseRollbackOfAll(stage);
      case 'cloud-owner-refused':
        return refuseCloudOwner(network, CLOUD_OWNED, COLLUDERS);
      case 'foreign-enclave-refused':
        return refuseForeignEnclave(network, kms.network, FOREIGNER, () => stage.decryptOnce([FOREIGNER]));
      case 'hostile-parent':
        return this.#decryptBehindHostileParent(HOSTAGE);
      case 'decrypt-liar':
        return this.#decryptWithLiar(LIAR);
      case 'user-decrypt':
        return this.#userDecrypt();
    }
  }

  async #keygen(): Promise<string> {
    const key = await this.#stage.makeKey(PRESET.name);
    return `${PRESET.name} key ${key.id.slice(0, 12)}, commanded on the gateway, signed by n - t nodes, held by none`;
  }

  async #encrypt(): Promise<string> {
    const inputs: Hex[][] = [];
    for (const { operands } of this.#computations) {
      const handles: Hex[] = [];
      for (const value of operands) handles.push(await this.#stage.bring(value));
      inputs.push(handles);
    }
    this.#inputs = inputs;
    return `3 numbers and 3 vectors of ${PRESET.degree}, each a handle on the first host chain`;
  }

  async #evaluate(): Promise<string> {
    const { gateway, user: account } = this.#stage;
    const results: Computed[] = [];
    for (const [i, { expected }] of this.#computations.entries()) {
      const [a, b, c] = this.#inputs[i]!;
      const sum = await gateway.compute({ operation: 'add', a: a!, b: b! }, { account });
      results.push({
        handle: await gateway.compute({ operation: 'mul', a: sum, b: c! }, { account }),
        expected,
      });
    }
    this.#results = results;
    return '(a + b) * c of the numbers and of the vectors, by three coprocessors';
  }

  async #decrypt(): Promise<string> {
    for (const { handle, expected } of this.#results) await this.#stage.expectPublic(handle, expected);
    return 'both right; 2t + 1 nodes proved the permission and signed the answer on chain';
  }

  /** A handle of the first chain becomes one of the second, is computed with there and decrypted there. */
  async #useElsewhere(): Promise<string> {
    const stage = this.#stage;
    const { gateway, places, user: account } = stage;
    const toChainId = places.hosts[1]!.chainId;
    const value = { kind: 'scalar', value: 20n } as const;
    const handle = await stage.bring(value);
    await gateway.transfer(handle, { account, toChainId });
    const on = { account, hostChainId: toChainId };
    const more = await gateway.compute({ operation: 'mulPlain', a: handle, value: 3n }, on);
    const decryption = await gateway.decrypt(more, on);
    expectValue(decryption.value, { kind: 'scalar', value: 60n });
    return `a number of chain ${places.hosts[0]!.chainId} was tripled and decrypted on chain ${toChainId}`;
  }

  /** The owner lets another account read a value, and that one alone opens it, by its wallet's signature. */
  async #decryptForAnother(): Promise<string> {
    const stage = this.#stage;
    const reader = await stage.wallet('user-2');
    const value = randomValue('scalar');
    const handle = await stage.bring(value);
    await this.#expectRefused(handle, reader);
    await stage.gateway.allow(handle, reader.address, { account: stage.user });
    const { agreeing } = await stage.expectForUser(handle, value, reader);
    return `refused before the owner's grant, then opened by its reader alone with shares of ${agreeing.length} nodes`;
  }

  /** @throws {KmsError} INTERNAL unless it is not permitted */
  async #expectRefused(handle: Hex, account: Wallet): Promise<void> {
    const code = await this.#stage.openForUser(handle, account).then(() => 'a value', codeOf);
    if (code !== 'NOT_PERMITTED') throw new KmsError('INTERNAL', `without a grant the reader gets ${code}`);
  }

  async #decryptWithout(party: number): Promise<string> {
    const { network } = this.#stage;
    await network.stopNode(party, { signal: 'SIGKILL' });
    try {
      await this.#stage.decryptOnce([party]);
    } finally {
      await network.startNode(party);
      await this.#stage.connected();
    }
    return `node ${party} killed; right, by the others`;
  }

  async #generateDespiteLiar(): Promise<string> {
    const said = await generateDespite(this.#stage, KEYGEN_LIAR);
    this.culprits.add(KEYGEN_LIAR);
    return said;
  }

  /** The node's enclave runs on; what its parent does to its traffic is no fault of the node. */
  async #decryptBehindHostileParent(party: number): Promise<string> {
    const { network } = this.#stage;
    await network.replaceParent(party, HOSTILE_PARENT_ENTRY);
    try {
      for (let round = 0; round < HOSTILE_ROUNDS; round++) await this.#stage.decryptOnce();
    } finally {
      await network.replaceParent(party);
    }
    await this.#stage.connected();
    await this.#stage.decryptOnce();
    return `node ${party}'s parent garbles, drops, reorders: all right, nobody blamed`;
  }

  async #decryptWithLiar(party: number): Promise<string> {
    const { network } = this.#stage;
    await network.stopNode(party, { role: 'enclave' });
    await network.startNode(party, { role: 'enclave', entry: LIAR_ENTRY });
    await this.#stage.connected();
    await this.#stage.decryptOnce();
    await this.#stage.expectAccused(party);
    this.culprits.add(party);
    this.#liar = party;
    return `node ${party} sends garbage and is named; right`;
  }

  /** Values that were never decrypted in public, so that no process but this one ever holds them. */
  async #userDecrypt(): Promise<string> {
    const stage = this.#stage;
    let named: readonly number[] = [];
    for (const kind of ['scalar', 'vector'] as const) {
      const value = randomValue(kind);
      const handle = await stage.bring(value);
      // A result never waits long for the slowest share, and on a busy machine that may be the liar's.
      for (let attempt = 0; attempt < LIAR_ATTEMPTS; attempt++) {
        const decryption = await stage.expectForUser(handle, value);
        named = this.#expectKnown(decryption);
        if (named.length > 0 || this.#liar === undefined) break;
      }
    }
    const despite = named.length === 0 ? '' : `, despite node ${named.join()}`;
    return `both right${despite}; the nodes saw sealed shares only`;
  }

  /** @returns the parties named as culprits. @throws {KmsError} INTERNAL if an honest one is */
  #expectKnown({ culprits }: Decryption): readonly number[] {
    const innocent = culprits.filter((party) => party !== this.#liar);
    if (innocent.length > 0) throw new KmsError('INTERNAL', `node ${innocent.join()} is blamed`);
    return culprits;
  }
}
