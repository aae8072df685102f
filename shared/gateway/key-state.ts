import { KmsError } from '../errors.ts';
import { type Preset, presets } from '../fhe/presets.ts';

/** States of a key (NIST SP 800-57) by the contracts' numbers; twin of gateway/contracts/common/KeyStates.sol. */
export const keyStates = {
  none: 0,
  preActivation: 1,
  active: 2,
  suspended: 3,
  deactivated: 4,
  compromised: 5,
  destroyed: 6,
} as const;

/** Keys that no longer encrypt still decrypt, until they are destroyed. */
export function decryptsIn(state: number): boolean {
  return state >= keyStates.active && state <= keyStates.compromised;
}

const ways: Readonly<Record<number, readonly number[]>> = {
  [keyStates.active]: [keyStates.preActivation, keyStates.suspended],
  [keyStates.suspended]: [keyStates.active],
  [keyStates.deactivated]: [keyStates.active, keyStates.suspended],
  [keyStates.compromised]: [
    keyStates.preActivation,
    keyStates.active,
    keyStates.suspended,
    keyStates.deactivated,
  ],
  [keyStates.destroyed]: [keyStates.preActivation, keyStates.deactivated, keyStates.compromised],
};

export function mayMove(fromState: number, toState: number): boolean {
  return ways[toState]?.includes(fromState) ?? false;
}

/** Number of a preset in the contracts (common/Presets.sol), from 1. */
export function presetCode(preset: Preset): number {
  return presets.indexOf(preset) + 1;
}

/** @throws {KmsError} UNKNOWN_PRESET */
export function presetOfCode(code: number): Preset {
  const preset = presets[code - 1];
  if (preset === undefined) throw new KmsError('UNKNOWN_PRESET', `the contracts have no preset ${code}`);
  return preset;
}
