import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nodePrimitives } from '../../../enclave/primitives.ts';
import { digest, epochId } from '../../../shared/ids.ts';
import { ConfigurationChain } from '../../../shared/network/chain.ts';
import type { Configuration } from '../../../shared/network/configuration.ts';
import { networkIdOf } from '../../../shared/network/genesis.ts';
import { type SignedConfiguration, signConfiguration } from '../../../shared/network/signed-configuration.ts';
import { noble } from '../../../shared/noble.ts';
import {
  founding,
  governanceOf,
  measurement,
  mockGenesis,
  operators,
  signedBy,
  successor,
} from '../../simulator/network.ts';

const signers = operators(4);
const quorum = signers.slice(0, 3);
const genesis = mockGenesis(signers);
const governance = governanceOf(signers);
const members = [1, 2, 3, 4].map((i) => ({
  identity: new Uint8Array(32).fill(i),
  address: `10.0.0.${i}:${7000 + i}`,
}));
const zero = signedBy(quorum, founding(genesis, members), governance);
const start = ConfigurationChain.of(nodePrimitives, genesis, [zero]);

const sign = (configuration: Configuration, by = quorum): SignedConfiguration =>
  signedBy(by, configuration, governance);
/** The chain with one more configuration, properly signed. */
const grown = (chain: ConfigurationChain, change: Partial<Configuration> = {}): ConfigurationChain =>
  chain.extend(sign(successor(chain, change)));
const moved = (chain: ConfigurationChain, to: string): Partial<Configuration> => ({
  members: chain.newest.signed.configuration.members.map((member) =>
    member.party === 4 ? { ...member, address: to } : member,
  ),
});
const refusal = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error);
  }
  return 'accepted';
};

describe('chain: what is accepted', () => {
  it('chain: from genesis on, by every quorum, with OpenSSL and noble alike', () => {
    const one = sign(
      successor(start, moved(start, '10.0.0.9:1')),
      [1, 2, 3].map((i) => signers[i]!),
    );
    for (const crypto of [nodePrimitives, noble]) {
      const chain = ConfigurationChain.of(crypto, genesis, [zero, one]);
      expect(chain.newest.signed).toEqual(one);
      expect(chain.networkId).toBe(networkIdOf(noble, genesis));
      expect(chain.epochStart.digest).toBe(start.newest.digest);
    }
  });

  it('chain: what it knows already changes nothing, with whichever signatures', () => {
    const chain = grown(start);
    expect(chain.extend(zero)).toBe(chain);
    expect(chain.extend({ ...zero, signatures: [] })).toBe(chain);
    expect(chain.extend(sign(chain.newest.signed.configuration, signers.slice(1)))).toBe(chain);
  });

  it('chain: more signatures than the quorum are welcome', () => {
    expect(start.extend(sign(successor(start), [...signers])).links).toHaveLength(2);
  });
});

describe('chain: what is refused', () => {
  const one = grown(start);
  const next = successor(start);

  it('chain: none at all', () => {
    expect(refusal(() => ConfigurationChain.of(noble, genesis, []))).toBe('BAD_CONFIGURATION');
  });

  it('chain: one that skips a number', () => {
    expect(refusal(() => start.extend(sign(successor(one))))).toBe('BAD_CONFIGURATION');
    expect(refusal(() => ConfigurationChain.of(noble, genesis, [one.newest.signed]))).toBe(
      'BAD_CONFIGURATION',
    );
  });

  it('chain: a number below its place', () => {
    expect(refusal(() => one.extend(sign({ ...successor(one), number: 1 })))).toBe('BAD_CONFIGURATION');
  });

  it('chain: another predecessor', () => {
    const stranger = { ...next, predecessor: digest('77'.repeat(32)) };
    expect(refusal(() => start.extend(sign(stranger)))).toBe('BAD_CONFIGURATION');
  });

  it('chain: another network, and another genesis with the same governance', () => {
    const other = mockGenesis(signers, { name: 'another' });
    const stranger = { ...next, networkId: networkIdOf(noble, other) };
    expect(refusal(() => start.extend(sign(stranger)))).toBe('BAD_CONFIGURATION');
    expect(refusal(() => ConfigurationChain.of(noble, other, [zero]))).toBe('BAD_CONFIGURATION');
  });

  it('chain: too few signatures', () => {
    expect(refusal(() => start.extend(sign(next, quorum.slice(1))))).toBe('BAD_SIGNATURE');
    expect(refusal(() => start.extend(sign(next, [])))).toBe('BAD_SIGNATURE');
  });

  it('chain: one key counted twice', () => {
    const { signatures } = sign(next, quorum.slice(1));
    const twice = { configuration: next, signatures: [signatures[0]!, signatures[0]!, signatures[1]!] };
    expect(refusal(() => start.extend(twice))).toBe('BAD_CONFIGURATION');
    const relabelled = { ...signatures[0]!, key: 3 };
    const padded = { configuration: next, signatures: [...signatures, relabelled] };
    expect(refusal(() => start.extend(padded))).toBe('BAD_SIGNATURE');
  });

  it('chain: a quorum with one wrong signature beside it', () => {
    const { signatures } = sign(next);
    const wrong = { key: 3, signature: signatures[0]!.signature };
    expect(refusal(() => start.extend({ configuration: next, signatures: [...signatures, wrong] }))).toBe(
      'BAD_SIGNATURE',
    );
  });

  it('chain: a key that is none', () => {
    const { signatures } = sign(next);
    const wrong = [...signatures.slice(1), { key: 4, signature: signatures[0]!.signature }];
    expect(refusal(() => start.extend({ configuration: next, signatures: wrong }))).toBe('BAD_SIGNATURE');
  });

  it('chain: signatures that belong to another configuration', () => {
    const { signatures } = sign(next);
    const other = successor(start, moved(start, '10.0.0.9:1'));
    expect(refusal(() => start.extend({ configuration: other, signatures }))).toBe('BAD_SIGNATURE');
  });

  it('chain: signing refuses foreign keys and second signatures', () => {
    const stranger = operators(4, 9)[0]!;
    const signed = sign(next);
    expect(refusal(() => signConfiguration(noble, stranger, governance, signed))).toBe('BAD_INPUT');
    expect(refusal(() => signConfiguration(noble, quorum[0]!, governance, signed))).toBe('BAD_INPUT');
  });

  it('chain: a third valid configuration at once', () => {
    const until = one.newest.signed.configuration.overlapUntilBlock;
    const early = successor(one, { activationBlock: until });
    expect(refusal(() => one.extend(sign(early)))).toBe('BAD_CONFIGURATION');
    expect(refusal(() => one.extend(sign({ ...early, activationBlock: until + 1 })))).toBe('accepted');
  });

  it('chain: endpoints of a gateway that the network does not have', () => {
    const rpc = { k: 1, endpoints: [{ url: 'https://a.example/', spkiPins: [digest('11'.repeat(32))] }] };
    expect(refusal(() => grown(start, { rpc }))).toBe('BAD_CONFIGURATION');
  });

  it('chain: another committee, as long as there is no change of epoch', () => {
    const { members: list } = next;
    const other = list.map((member, i) =>
      i === 2 ? { ...member, identity: new Uint8Array(32).fill(9) } : member,
    );
    const swapped = list.map((member, i) => ({ ...member, identity: list[3 - i]!.identity }));
    expect(refusal(() => grown(start, { members: other }))).toBe('BAD_CONFIGURATION');
    expect(refusal(() => grown(start, { members: swapped }))).toBe('BAD_CONFIGURATION');
    expect(refusal(() => grown(start, { epoch: epochId(1) }))).toBe('BAD_CONFIGURATION');
  });
});

describe('chain: governance', () => {
  const successors = operators(7, 2);
  const handed = grown(start, { governance: governanceOf(successors) });
  const { activationBlock } = handed.newest.signed.configuration;
  const later = (blocks: number): Configuration =>
    successor(handed, {
      activationBlock: activationBlock + blocks,
      overlapUntilBlock: activationBlock + blocks,
    });

  it('chain: new keys sign the next configuration, and the old ones no longer', () => {
    const next = later(100);
    expect(refusal(() => handed.extend(sign(next)))).toBe('BAD_SIGNATURE');
    const five = successors.slice(2);
    expect(handed.governance.quorum).toBe(5);
    expect(handed.extend(signedBy(five, next, handed.governance)).links).toHaveLength(3);
    expect(refusal(() => handed.extend(signedBy(five.slice(1), next, handed.governance)))).toBe(
      'BAD_SIGNATURE',
    );
  });

  it('chain: keys of a generation to come cannot sign themselves in', () => {
    const own = successor(start, { governance: governanceOf(successors) });
    const signed = signedBy(successors.slice(0, 5), own, governanceOf(successors));
    expect(refusal(() => start.extend(signed))).toBe('BAD_SIGNATURE');
  });

  it('chain: what new keys sign is not active before the delay is over', () => {
    const five = successors.slice(0, 5);
    expect(refusal(() => handed.extend(signedBy(five, later(99), handed.governance)))).toBe(
      'BAD_CONFIGURATION',
    );
    expect(refusal(() => handed.extend(signedBy(five, later(100), handed.governance)))).toBe('accepted');
  });
});

describe('chain: conflict', () => {
  const one = grown(start);
  const two = grown(one);
  const rival = sign(successor(start, moved(start, '10.0.0.9:1')), signers.slice(1));

  it('chain: a second signed successor is a conflict, at any place, and nothing follows it', () => {
    for (const chain of [one, two]) {
      const split = chain.extend(rival);
      expect(split.conflict).toEqual(rival);
      expect(split.links).toEqual(chain.links);
      expect(refusal(() => split.extend(sign(successor(two))))).toBe('CONFLICT');
      expect(refusal(() => split.extend(one.newest.signed))).toBe('CONFLICT');
    }
    expect(refusal(() => ConfigurationChain.of(noble, genesis, [zero, one.newest.signed, rival]))).toBe(
      'CONFLICT',
    );
  });

  it('chain: two configurations 0 are a conflict', () => {
    const other = sign(
      founding(genesis, [...members.slice(0, 3), { ...members[3]!, address: '10.0.0.9:1' }]),
    );
    expect(start.extend(other).conflict).toEqual(other);
  });

  it('chain: a rival without a quorum is no conflict, only refused', () => {
    expect(refusal(() => one.extend({ ...rival, signatures: rival.signatures.slice(1) }))).toBe(
      'BAD_SIGNATURE',
    );
  });
});

describe('chain: what is valid when', () => {
  it('chain: predecessor and successor are both valid in the window, and only there', () => {
    const chain = grown(start, { activationBlock: 50, overlapUntilBlock: 60 });
    const numbers = (block: number) => chain.validAt(block).map(({ number }) => number);
    expect([0, 49, 50, 60, 61, 10_000].map(numbers)).toEqual([[0], [0], [0, 1], [0, 1], [1], [1]]);
  });

  it('chain: never none and never three; as the definition says, for any windows', () => {
    const window = fc.record({ lead: fc.integer({ min: 1, max: 9 }), length: fc.nat(9) });
    fc.assert(
      fc.property(fc.array(window, { minLength: 1, maxLength: 4 }), (windows) => {
        const chain = windows.reduce((so, { lead, length }) => {
          const activationBlock = so.newest.signed.configuration.overlapUntilBlock + lead;
          return grown(so, { activationBlock, overlapUntilBlock: activationBlock + length });
        }, start);
        const all = chain.links.map(({ signed }) => signed.configuration);
        for (let block = 0; block < 80; block++) {
          const expected = all.filter(
            ({ number, activationBlock }) =>
              activationBlock <= block &&
              (all[number + 1] === undefined ||
                block < all[number + 1]!.activationBlock ||
                block <= all[number + 1]!.overlapUntilBlock),
          );
          expect(chain.validAt(block)).toEqual(expected);
          expect([1, 2]).toContain(expected.length);
        }
      }),
      { numRuns: 12 },
    );
  });

  it('chain: a new measurement counts after the delay, an old one until the block that drops it', () => {
    const old = measurement(10);
    const fresh = measurement(20);
    const added = grown(start, { activationBlock: 50, overlapUntilBlock: 60, measurements: [old, fresh] });
    const dropped = grown(added, { activationBlock: 200, overlapUntilBlock: 300, measurements: [fresh] });
    const at = (block: number) => dropped.allowedMeasurements(block);
    expect(at(0)).toEqual([old]);
    expect(at(149)).toEqual([old]);
    expect(at(150)).toEqual([old, fresh]);
    expect(at(199)).toEqual([old, fresh]);
    expect(at(200)).toEqual([fresh]);
    expect(at(250)).toEqual([fresh]);
    expect(dropped.measurementCountsFrom(2, fresh)).toBe(150);
  });

  it('chain: the delay of a configuration that was made public late begins then', () => {
    const both = [measurement(10), measurement(20)];
    const next = successor(start, { activationBlock: 1, overlapUntilBlock: 1, measurements: both });
    const chain = start.extend(sign(next), 5000);
    expect(chain.allowedMeasurements(5099)).toEqual([measurement(10)]);
    expect(chain.allowedMeasurements(5100)).toEqual(both);
  });

  it('chain: a measurement that was withdrawn and comes back waits again', () => {
    const old = measurement(10);
    const fresh = measurement(20);
    const added = grown(start, { activationBlock: 10, overlapUntilBlock: 10, measurements: [old, fresh] });
    const without = grown(added, { activationBlock: 500, overlapUntilBlock: 500, measurements: [fresh] });
    const back = grown(without, { activationBlock: 600, overlapUntilBlock: 600, measurements: [fresh, old] });
    expect(back.allowedMeasurements(699)).toEqual([fresh]);
    expect(back.allowedMeasurements(700)).toEqual([fresh, old]);
  });

  it('chain: other endpoints of the gateway chain are asked after the delay, the ones before until then', () => {
    const rpc = (name: string) => ({
      k: 1,
      endpoints: [{ url: `https://${name}.example/`, spkiPins: [digest('11'.repeat(32))] }],
    });
    const gateway = {
      ...{ chainId: 1n, registry: new Uint8Array(20).fill(1), registryCodeHash: digest('22'.repeat(32)) },
      finality: { kind: 'finalized' as const },
    };
    const own = mockGenesis(signers, { gateway, rpc: rpc('a') });
    const first = ConfigurationChain.of(nodePrimitives, own, [
      signedBy(quorum, founding(own, members), governance),
    ]);
    const second = grown(first, { rpc: rpc('b'), activationBlock: 50, overlapUntilBlock: 50 });
    const third = grown(second, { activationBlock: 60, overlapUntilBlock: 60 });
    expect(third.accessAt(1n, 0)?.rpc).toEqual(rpc('a'));
    expect(third.accessAt(1n, 149)?.rpc).toEqual(rpc('a'));
    expect(third.accessAt(1n, 150)?.rpc).toEqual(rpc('b'));
    const back = grown(third, { rpc: rpc('a'), activationBlock: 200, overlapUntilBlock: 200 });
    expect(back.accessAt(1n, 299)?.rpc).toEqual(rpc('b'));
    expect(back.accessAt(1n, 300)?.rpc).toEqual(rpc('a'));
    // The delay of one that came late begins when it came.
    const late = sign(successor(first, { rpc: rpc('b'), activationBlock: 50, overlapUntilBlock: 50 }));
    expect(first.extend(late, 1000).accessAt(1n, 1099)?.rpc).toEqual(rpc('a'));
    expect(first.extend(late, 1000).accessAt(1n, 1100)?.rpc).toEqual(rpc('b'));
  });

  it('chain: a host chain is asked after the delay, as before while that lasts, and not once it is dropped', () => {
    const rpc = (name: string) => ({
      k: 1,
      endpoints: [{ url: `https://${name}.example/`, spkiPins: [digest('11'.repeat(32))] }],
    });
    const gateway = {
      ...{ chainId: 1n, registry: new Uint8Array(20).fill(1), registryCodeHash: digest('22'.repeat(32)) },
      finality: { kind: 'depth' as const, blocks: 3 },
    };
    const host = { chainId: 2n, finality: { kind: 'finalized' as const }, maxHeadAgeS: 60, rpc: rpc('h') };
    const slower = { ...host, maxHeadAgeS: 600 };
    const own = mockGenesis(signers, { gateway, rpc: rpc('a') });
    const first = ConfigurationChain.of(nodePrimitives, own, [
      signedBy(quorum, founding(own, members, { hosts: [host], maxHeadAgeS: 90 }), governance),
    ]);
    expect(first.accessAt(1n, 0)).toEqual({
      ...{ chainId: 1n, finality: gateway.finality, maxHeadAgeS: 90, rpc: rpc('a') },
    });
    expect([first.accessAt(2n, 0), first.accessAt(3n, 0), first.accessAt(0n, 0)]).toEqual([
      ...[host, undefined, undefined],
    ]);
    const at = (activationBlock: number) => ({ activationBlock, overlapUntilBlock: activationBlock });
    const third = { ...host, chainId: 3n };
    const second = grown(first, { ...at(50), hosts: [slower, third], maxHeadAgeS: 900 });
    expect(second.accessAt(2n, 149)).toEqual(host);
    expect(second.accessAt(2n, 150)).toEqual(slower);
    expect(second.accessAt(1n, 149)?.maxHeadAgeS).toBe(90);
    expect(second.accessAt(1n, 150)?.maxHeadAgeS).toBe(900);
    expect(second.accessAt(3n, 149)).toBeUndefined();
    expect(second.accessAt(3n, 150)).toEqual(third);
    const dropped = grown(second, { ...at(200), hosts: [third] });
    expect(dropped.accessAt(2n, 199)).toEqual(slower);
    expect(dropped.accessAt(2n, 200)).toBeUndefined();
    const back = grown(dropped, { ...at(300), hosts: [host, third] });
    expect(back.accessAt(2n, 399)).toBeUndefined();
    expect(back.accessAt(2n, 400)).toEqual(host);
    expect(back.accessAt(3n, 300)).toEqual(third);
  });

  it('chain: chains are asked in networks with a gateway only, and the gateway is no host', () => {
    expect(start.accessAt(0n, 0)).toBeUndefined();
    const endpoint = { url: 'https://a.example/', spkiPins: [digest('11'.repeat(32))] };
    const rpc = { k: 1, endpoints: [endpoint] };
    const host = { chainId: 2n, finality: { kind: 'finalized' as const }, maxHeadAgeS: 60, rpc };
    for (const change of [{ maxHeadAgeS: 120 }, { hosts: [host] }]) {
      expect(refusal(() => grown(start, change))).toBe('BAD_CONFIGURATION');
    }
    const gateway = {
      ...{ chainId: 1n, registry: new Uint8Array(20).fill(1), registryCodeHash: digest('22'.repeat(32)) },
      finality: { kind: 'finalized' as const },
    };
    const own = mockGenesis(signers, { gateway, rpc });
    const first = ConfigurationChain.of(nodePrimitives, own, [
      signedBy(quorum, founding(own, members), governance),
    ]);
    expect(refusal(() => grown(first, { hosts: [host] }))).toBe('accepted');
    for (const change of [
      { maxHeadAgeS: 0 },
      { maxHeadAgeS: 86_401 },
      { hosts: [{ ...host, chainId: 1n }] },
      { rpc: { k: 0, endpoints: [] } },
    ]) {
      expect(refusal(() => grown(first, change))).toBe('BAD_CONFIGURATION');
    }
  });

  it('chain: a configuration in which no measurement would count is refused', () => {
    expect(refusal(() => grown(start, { measurements: [measurement(20)] }))).toBe('BAD_CONFIGURATION');
    const both = grown(start, {
      activationBlock: 50,
      overlapUntilBlock: 60,
      measurements: [measurement(10), measurement(20)],
    });
    const drop = (activationBlock: number) =>
      refusal(() =>
        grown(both, { activationBlock, overlapUntilBlock: activationBlock, measurements: [measurement(20)] }),
      );
    expect(drop(149)).toBe('BAD_CONFIGURATION');
    expect(drop(150)).toBe('accepted');
  });
});
