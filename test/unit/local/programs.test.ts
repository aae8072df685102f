import { describe, expect, it } from 'vitest';
import {
  coprocessorOf,
  operatorOf,
  relayerOf,
  SUBMITTER,
  senderOf,
  userOf,
} from '../../../infra/local/chains/accounts.ts';
import { chainPorts, freshChains } from '../../../infra/local/chains/chains-state.ts';
import {
  connectorParty,
  coprocessors,
  EVERYWHERE,
  programOf,
  relayers,
} from '../../../infra/local/programs/program.ts';
import {
  connectorSection,
  coprocessorConfig,
  relayerConfig,
} from '../../../infra/local/programs/program-config.ts';

describe('programs around local chains', () => {
  it('programs: nobody takes the nonce of another', () => {
    const taken = [
      ...[1, 2, 3, 4].map(operatorOf),
      ...[...coprocessors, ...relayers].map(({ account }) => account),
      ...[SUBMITTER, userOf(1), userOf(2)],
      ...Array.from({ length: 64 }, (_, i) => senderOf(i + 1)),
    ];
    expect(new Set(taken).size).toBe(taken.length);
    expect(coprocessors.map(({ account }) => account)).toEqual([1, 2, 3].map(coprocessorOf));
    expect(relayers.map(({ account }) => account)).toEqual([1, 2, 3, 4].map(relayerOf));
  });

  it('programs: chains announce their blocks at the port where they are asked', () => {
    const fresh = freshChains(Array.from({ length: chainPorts }, (_, i) => 40_000 + i));
    const contracts = { registry: `0x${'0a'.repeat(20)}` };
    const chains = { ...fresh, gateway: { ...fresh.gateway, contracts } };
    const sections = [
      relayerConfig(programOf('relayer'), '/n', chains),
      coprocessorConfig(programOf('coprocessor-1'), 1, '/n', chains, []),
      connectorSection(1, '127.0.0.1:1', '/n', chains),
    ];
    for (const section of sections) {
      const { gateway, hosts } = section as Record<'gateway' | 'hosts', unknown>;
      expect(gateway).toMatchObject({ url: 'http://127.0.0.1:40000', headsUrl: 'ws://127.0.0.1:40000' });
      expect(hosts).toMatchObject([
        { headsUrl: 'ws://127.0.0.1:40004' },
        { headsUrl: 'ws://127.0.0.1:40008' },
      ]);
    }
  });

  it('programs: a name is one of theirs', () => {
    expect(EVERYWHERE.map(({ name }) => name)).toEqual([
      ...['coprocessor-1', 'coprocessor-2', 'coprocessor-3', 'relayer'],
    ]);
    expect(programOf('relayer-4')).toMatchObject({ kind: 'relayer', number: 4 });
    for (const name of ['', 'relayer-1', 'relayer-5', 'coprocessor-0', 'relayer/..', 'connector-1']) {
      expect(() => programOf(name)).toThrow(expect.objectContaining({ code: 'BAD_INPUT' }));
    }
    expect(connectorParty('connector-64')).toBe(64);
    for (const name of ['connector-0', 'connector-01', 'connector-', 'connector-1x', 'relayer']) {
      expect(connectorParty(name)).toBeUndefined();
    }
  });
});
