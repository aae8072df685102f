import { describe, expect, it } from 'vitest';
import {
  coprocessorOf,
  operatorOf,
  relayerOf,
  SUBMITTER,
  senderOf,
  userOf,
} from '../../../infra/local/chains/accounts.ts';
import {
  connectorParty,
  coprocessors,
  EVERYWHERE,
  programOf,
  relayers,
} from '../../../infra/local/programs/program.ts';

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
