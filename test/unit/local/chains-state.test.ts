import { describe, expect, it } from 'vitest';
import {
  type ChainsState,
  chainPorts,
  checkChains,
  everyChain,
  freshChains,
  withChain,
} from '../../../infra/local/chains/chains-state.ts';
import type { ProcessId } from '../../../infra/local/process.ts';

const fresh = freshChains(Array.from({ length: chainPorts }, (_, i) => 20_000 + i));
const ADDRESS = `0x${'ab'.repeat(20)}`;

function checked(state: ChainsState): readonly (ProcessId | undefined)[] {
  const processes: (ProcessId | undefined)[] = [];
  checkChains(state, (id) => processes.push(id));
  return processes;
}

describe('chains in the state file', () => {
  it('chains state: every port is used once', () => {
    const ports = everyChain(fresh).flatMap(({ port, frontPorts }) => [port, ...frontPorts]);
    expect(new Set(ports).size).toBe(chainPorts);
    expect(Math.min(...ports)).toBe(20_000);
    expect(Math.max(...ports)).toBe(20_000 + chainPorts - 1);
  });

  it('chains state: a change is to one chain', () => {
    const [, host] = everyChain(fresh);
    const changed = withChain(fresh, { ...host!, contracts: { oracle: ADDRESS } });
    expect(changed.hosts[0]!.contracts).toEqual({ oracle: ADDRESS });
    expect(changed.gateway).toEqual(fresh.gateway);
    expect(changed.hosts[1]).toEqual(fresh.hosts[1]);
  });

  it('chains state: every process that will be signalled is checked', () => {
    const id = (pid: number): ProcessId => ({ pid, started: 'then' });
    const state = {
      gateway: { ...fresh.gateway, process: id(2) },
      hosts: fresh.hosts.map((host, i) => ({ ...host, process: id(3 + i) })),
      fronts: id(9),
      programs: [
        { name: 'coprocessor-3', port: 1, process: id(5) },
        { name: 'relayer', process: id(6) },
      ],
    };
    expect(checked(state).map((one) => one?.pid)).toEqual([9, 5, 6, 2, 3, 4]);
  });

  it.each<[string, ChainsState]>([
    ['one id twice', { ...fresh, hosts: [fresh.gateway] }],
    ['no number', withChain(fresh, { ...fresh.gateway, port: 0 })],
    ['a port too high', withChain(fresh, { ...fresh.gateway, frontPorts: [1, 2, 65_536] })],
    ['too few fronts', withChain(fresh, { ...fresh.gateway, frontPorts: [1, 2] })],
    ['an id that is none', { ...fresh, gateway: { ...fresh.gateway, chainId: 1.5 } }],
    ['no address', withChain(fresh, { ...fresh.gateway, contracts: { registry: `${ADDRESS}00` } })],
    ['a program that is none', { ...fresh, programs: [{ name: '../relayer' }] }],
    ['a port of a program too high', { ...fresh, programs: [{ name: 'coprocessor-1', port: 65_536 }] }],
    ['an option', withChain(fresh, { ...fresh.gateway, contracts: { registry: '--steps' } })],
  ])('chains state: refused: %s', (_, state) => {
    expect(() => checked(state)).toThrow();
    expect(() => checked(fresh)).not.toThrow();
  });
});
