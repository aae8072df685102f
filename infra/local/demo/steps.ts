import { KmsError } from '../../../shared/errors.ts';

/** In the order in which they run. */
export const DEMO_STEPS = [
  'attest',
  'keygen',
  'encrypt',
  'eval',
  'decrypt',
  'oracle-callback',
  'second-host-chain',
  'wallet-user-decrypt',
  'decrypt-node-down',
  'keygen-node-down',
  'keygen-liar',
  'eight-of-thirteen-refused',
  'sealed-restart',
  'cold-start-all',
  'rollback-refused',
  'rollback-of-all-refused',
  'cloud-owner-refused',
  'foreign-enclave-refused',
  'hostile-parent',
  'decrypt-liar',
  'user-decrypt',
] as const;

export type DemoStep = (typeof DEMO_STEPS)[number];

const needs: Readonly<Record<DemoStep, readonly DemoStep[]>> = {
  attest: [],
  keygen: [],
  encrypt: ['keygen'],
  eval: ['encrypt'],
  decrypt: ['eval'],
  'oracle-callback': ['keygen'],
  'second-host-chain': ['keygen'],
  'wallet-user-decrypt': ['keygen'],
  'decrypt-node-down': ['keygen'],
  'keygen-node-down': ['keygen'],
  'keygen-liar': ['keygen'],
  'eight-of-thirteen-refused': [],
  'sealed-restart': ['keygen'],
  'cold-start-all': ['keygen'],
  'rollback-refused': ['keygen'],
  'rollback-of-all-refused': ['keygen'],
  'cloud-owner-refused': [],
  'foreign-enclave-refused': ['keygen'],
  'hostile-parent': ['keygen'],
  'decrypt-liar': ['keygen'],
  'user-decrypt': ['keygen'],
};

/**
 * The steps to run for a comma-separated selection: those named and those they need. Nothing selected: all.
 * @throws {KmsError} BAD_INPUT for a name that is none
 */
export function stepsWithNeeds(selection: string): readonly DemoStep[] {
  const names = selection.split(',').filter((name) => name !== '');
  if (names.length === 0) return DEMO_STEPS;
  const wanted = new Set<DemoStep>();
  const want = (step: DemoStep): void => {
    wanted.add(step);
    needs[step].forEach(want);
  };
  for (const name of names) {
    const step = DEMO_STEPS.find((known) => known === name);
    if (step === undefined) {
      throw new KmsError('BAD_INPUT', `there is no step '${name}'; steps are ${DEMO_STEPS.join(', ')}`);
    }
    want(step);
  }
  return DEMO_STEPS.filter((step) => wanted.has(step));
}
