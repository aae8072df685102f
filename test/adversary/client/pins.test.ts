import { describe, expect, it } from 'vitest';
import type * as Pins from '../../../client/sdk/configuration-pin.ts';
import type { ConfigurationMemory, SeenConfiguration } from '../../../client/sdk/configuration-pin.ts';
import { nodePrimitives } from '../../../enclave/primitives.ts';
import { codeOf } from '../../../shared/errors.ts';
import type { Digest } from '../../../shared/ids.ts';
import { ConfigurationChain } from '../../../shared/network/chain.ts';
import type { Genesis } from '../../../shared/network/genesis.ts';
import {
  founding,
  governanceOf,
  mockGenesis,
  operators,
  signedBy,
  successor,
} from '../../simulator/network.ts';
import { attackBoth, type Edit } from '../mutant.ts';

const FILE = 'client/sdk/configuration-pin.ts';
const [first, second] = [operators(4), operators(4, 2)];
const members = [1, 2, 3, 4].map((i) => ({
  identity: new Uint8Array(32).fill(i),
  address: `n${i}.example:443`,
}));

/** A network whose first operators were replaced: configuration 1 names the second ones, who sign configuration 2. */
function rotated(change: Partial<Genesis> = {}): readonly ConfigurationChain[] {
  const genesis = mockGenesis(first, { ...change, measurementDelayBlocks: 0 });
  const zero = ConfigurationChain.of(nodePrimitives, genesis, [signedBy(first, founding(genesis, members))]);
  const one = zero.extend(signedBy(first, successor(zero, { governance: governanceOf(second) })));
  const two = one.extend(signedBy(second, successor(one)));
  return [zero, one, two];
}

/** What the retired operators can still sign: another configuration 1, and whatever they like after it. */
function fork(zero: ConfigurationChain): ConfigurationChain {
  const moved = members.map(({ identity }, i) => ({
    ...{ ...zero.newest.signed.configuration.members[i]!, identity },
    address: `evil${i + 1}.example:443`,
  }));
  const one = zero.extend(signedBy(first, successor(zero, { members: moved })));
  return one.extend(signedBy(first, successor(one)));
}

class Memory implements ConfigurationMemory {
  seen: SeenConfiguration | undefined;
  async highest(): Promise<SeenConfiguration | undefined> {
    return this.seen;
  }
  async remember(_networkId: Digest, seen: SeenConfiguration): Promise<void> {
    this.seen = seen;
  }
}

async function accepts(
  load: <Module>(file: string) => Promise<Module>,
  chain: ConfigurationChain,
  anchors: Pins.ClientAnchors,
): Promise<boolean> {
  const { acceptChain } = await load<typeof Pins>(FILE);
  return acceptChain(chain, anchors).then(
    () => true,
    () => false,
  );
}

describe('attack on clients with files', () => {
  const [zero, one, two] = rotated() as [ConfigurationChain, ConfigurationChain, ConfigurationChain];
  const pinned: Edit = { file: FILE, find: '  checkPin(chain, pin);\n', replace: '' };
  const seen: Edit = { file: FILE, find: 'if (seen !== undefined) checkSeen(chain, seen);', replace: '' };
  const only = { withRule: false, withoutRule: true };

  it('pins: retired operators sign a false chain of the true network, against a client with a pin', async () => {
    const anchors = { pin: one.newest.digest };
    expect(fork(zero).networkId).toBe(zero.networkId);
    const attack = await attackBoth('pin', [pinned], (load) => accepts(load, fork(zero), anchors));
    expect(attack).toEqual(only);
  });

  it('pins: an older file, or that of another network, against a client with a pin', async () => {
    const anchors = { pin: two.newest.digest };
    const attack = await attackBoth('old', [pinned], (load) => accepts(load, one, anchors));
    expect(attack).toEqual(only);
    const [, , other] = rotated({ name: 'other' });
    const foreign = await attackBoth('foreign', [pinned], (load) => accepts(load, other!, anchors));
    expect(foreign).toEqual(only);
  });

  it('pins: a client that has seen a configuration never goes back before it, nor to a rival of it', async () => {
    for (const chain of [one, fork(zero), zero]) {
      const attack = await attackBoth('back', [seen], async (load) => {
        const memory = new Memory();
        await accepts(load, two, { memory });
        return accepts(load, chain, { memory });
      });
      expect(attack).toEqual(only);
    }
  });

  it('pins: what is refused is not remembered, and what is newer is', async () => {
    const { acceptChain } = await import('../../../client/sdk/configuration-pin.ts');
    const memory = new Memory();
    await expect(acceptChain(fork(zero), { memory, pin: one.newest.digest })).rejects.toMatchObject({
      code: 'BAD_CONFIGURATION',
    });
    expect(memory.seen).toBeUndefined();
    for (const [number, chain] of [zero, one, two].entries()) {
      await acceptChain(chain, { memory, pin: zero.newest.digest });
      expect(memory.seen).toEqual({ number, digest: chain.newest.digest });
    }
    await expect(acceptChain(one, { memory })).rejects.toMatchObject({ code: 'BAD_CONFIGURATION' });
    await expect(acceptChain(fork(zero), { memory })).rejects.toMatchObject({ code: 'CONFLICT' });
    expect(memory.seen).toEqual({ number: 2, digest: two.newest.digest });
  });

  it('pins: of a production network a client that knows nothing believes nothing', async () => {
    const [production] = rotated({ class: 'production' });
    const edit: Edit = {
      file: FILE,
      find: "chain.genesis.class === 'production' && pin === undefined",
      replace: 'pin === null',
    };
    const attack = await attackBoth('unpinned', [edit], (load) =>
      accepts(load, production!, { memory: new Memory() }),
    );
    expect(attack).toEqual(only);
    const { acceptChain } = await import('../../../client/sdk/configuration-pin.ts');
    const memory = new Memory();
    expect(await acceptChain(production!, {}).catch(codeOf)).toBe('BAD_INPUT');
    await acceptChain(production!, { memory, pin: production!.newest.digest });
    await acceptChain(production!, { memory });
  });
});
