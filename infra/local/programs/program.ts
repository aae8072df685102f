import { fileURLToPath } from 'node:url';
import { KmsError } from '../../../shared/errors.ts';
import { COPROCESSORS, coprocessorOf, RELAYERS, relayerOf } from '../chains/accounts.ts';
import type { ProcessId } from '../process.ts';

/** A program around the chains of a local network, by its number from 1. */
export interface Program {
  readonly kind: 'coprocessor' | 'relayer';
  readonly number: number;
  /** `relayer`, `relayer-2`, ..., `coprocessor-1`, ... */
  readonly name: string;
  readonly entry: string;
  /** Which of the well-known accounts it pays from. */
  readonly account: number;
}

/** As the state file knows it. */
export interface ProgramState {
  readonly name: string;
  /** On the loopback: where a coprocessor takes uploads. A relayer listens nowhere. */
  readonly port?: number;
  readonly process?: ProcessId;
}

const COPROCESSOR_ENTRY = fileURLToPath(new URL('../../../gateway/coprocessor/main.ts', import.meta.url));
const RELAYER_ENTRY = fileURLToPath(new URL('../../../gateway/relayer/main.ts', import.meta.url));

export const coprocessors: readonly Program[] = Array.from({ length: COPROCESSORS }, (_, i) => {
  const number = i + 1;
  const account = coprocessorOf(number);
  return { kind: 'coprocessor', number, name: `coprocessor-${number}`, entry: COPROCESSOR_ENTRY, account };
});

export const relayers: readonly Program[] = Array.from({ length: RELAYERS }, (_, i) => {
  const number = i + 1;
  const name = number === 1 ? 'relayer' : `relayer-${number}`;
  return { kind: 'relayer', number, name, entry: RELAYER_ENTRY, account: relayerOf(number) };
});

/** What every network on a gateway has. */
export const EVERYWHERE: readonly Program[] = [...coprocessors, ...relayers.slice(0, 1)];

/** @throws {KmsError} BAD_INPUT for a name that no program has */
export function programOf(name: string): Program {
  const all = [...coprocessors, ...relayers];
  const found = all.find((program) => program.name === name);
  if (found !== undefined) return found;
  const names = all.map((program) => program.name).join(', ');
  throw new KmsError('BAD_INPUT', `there is no program ${name}; there are ${names}`);
}

/** The party of `connector-<party>`; undefined for another program's name. */
export function connectorParty(name: string): number | undefined {
  const [, party] = /^connector-([1-9]\d?)$/.exec(name) ?? [];
  return party === undefined ? undefined : Number(party);
}
