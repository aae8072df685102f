import { encodeAbiParameters, type Hex } from 'viem';
import {
  addBound,
  checkDecryptable,
  inputBound,
  modSwitchBound,
  mulBound,
  mulPlainBound,
  type NoiseBound,
  negateBound,
  noiseCeiling,
  rotateBound,
} from '../../../shared/fhe/noise.ts';
import { type Preset, presets } from '../../../shared/fhe/presets.ts';

/** One application of the rule; `bound` is absent where it refuses. */
export interface NoiseCase {
  readonly preset: number;
  readonly operation: number;
  readonly a: bigint;
  readonly levelA: number;
  /** Second operand, or the plain factor's l1. */
  readonly b: bigint;
  readonly levelB: number;
  readonly result: NoiseBound | undefined;
}

/** Numbers that the Solidity test knows. */
const rules = {
  1: (p: Preset, a: NoiseBound, b: NoiseBound) => addBound(p, a, b),
  2: (p: Preset, a: NoiseBound, b: NoiseBound) => mulBound(p, a, b),
  3: (p: Preset, a: NoiseBound) => negateBound(p, a),
  4: (p: Preset, a: NoiseBound, b: NoiseBound) => mulPlainBound(p, a, b.bound),
  5: (p: Preset, a: NoiseBound) => rotateBound(p, a),
  6: (p: Preset, a: NoiseBound) => modSwitchBound(p, a),
  7: (p: Preset, a: NoiseBound) => {
    checkDecryptable(p, a);
    return a;
  },
} as const;

/** Operands around every border: inputs, ceilings, one beyond; every level and the levels outside. */
export function noiseCases(): readonly NoiseCase[] {
  return presets.flatMap((preset, index) => {
    const operands = operandsOf(preset);
    const unary = operands.flatMap((a) => [3, 5, 6, 7].map((operation) => [operation, a, a] as const));
    const scaled = [
      ...operands.flatMap((a) => factorsOf(preset).map((l1) => [a, l1] as const)),
      ...scaledBorder(preset),
    ].map(([a, l1]) => [4, a, { ...a, bound: l1 }] as const);
    const binary = pairsOf(preset).flatMap(([a, b]) => [1, 2].map((operation) => [operation, a, b] as const));
    return [...unary, ...scaled, ...binary].map(([operation, a, b]) => ({
      preset: index + 1,
      operation,
      a: a.bound,
      levelA: a.level,
      b: b.bound,
      levelB: b.level,
      result: applied(preset, operation, a, b),
    }));
  });
}

export function noiseVectors(): object {
  const cases = noiseCases();
  return {
    rules: ['add', 'mul', 'negate', 'mulPlain', 'rotate', 'modSwitch', 'checkDecryptable'],
    presets: presets.map((preset) => ({
      name: preset.name,
      input: preset.noise.input.toString(),
      ceilings: levelsOf(preset).map((level) => noiseCeiling(preset, level).toString()),
    })),
    refused: cases.filter(({ result }) => result === undefined).length,
    count: cases.length,
    encoded: encoded(cases),
  };
}

function encoded(cases: readonly NoiseCase[]): Hex {
  const fields = ['uint8', 'uint8', 'uint256', 'uint8', 'uint256', 'uint8', 'bool', 'uint256', 'uint8'].map(
    (type) => ({
      type,
    }),
  );
  const rows = cases.map(({ preset, operation, a, levelA, b, levelB, result }) => {
    return [
      preset,
      operation,
      a,
      levelA,
      b,
      levelB,
      result !== undefined,
      result?.bound ?? 0n,
      result?.level ?? 0,
    ];
  });
  return encodeAbiParameters([{ type: 'tuple[]', components: fields }], [rows]);
}

function applied(preset: Preset, operation: number, a: NoiseBound, b: NoiseBound): NoiseBound | undefined {
  const rule = Object.entries(rules).find(([code]) => Number(code) === operation)![1];
  try {
    // A handle's bound is below its ceiling: the contracts refuse every other operand, the TypeScript every other result.
    for (const x of operation <= 2 ? [a, b] : [a]) checkDecryptable(preset, x);
    return rule(preset, a, b);
  } catch {
    return undefined;
  }
}

function levelsOf({ decryptionLevel, levels }: Preset): readonly number[] {
  return Array.from({ length: levels - decryptionLevel + 1 }, (_, i) => decryptionLevel + i);
}

function operandsOf(preset: Preset): readonly NoiseBound[] {
  const atLevels = levelsOf(preset).flatMap((level) => {
    const most = noiseCeiling(preset, level);
    return [0n, most - 1n, most, most + 1n].map((bound) => ({ bound, level }));
  });
  const product = mulBound(preset, inputBound(preset), inputBound(preset));
  const outside = [preset.decryptionLevel - 1, preset.levels + 1].map((level) => ({ bound: 1n, level }));
  return [...atLevels, inputBound(preset), product, ...outside];
}

function pairsOf(preset: Preset): readonly (readonly [NoiseBound, NoiseBound])[] {
  const input = inputBound(preset);
  const alike = levelsOf(preset).flatMap((level) => {
    const most = noiseCeiling(preset, level);
    const half = most / 2n;
    // The largest sum of operands whose product is still named.
    const { productGain, productOffset, relinPerDigit, keySwitchOffset } = preset.noise;
    const offsets = productOffset + BigInt(level) * relinPerDigit + keySwitchOffset;
    const factors = most > offsets ? (most - offsets) / productGain - 2n : 2n;
    const pairs = [
      [factors, 0n],
      [factors, 1n],
      [factors - 1n, 1n],
      [0n, 0n],
      [half, half - 1n],
      [half, half + 1n],
      [most, 0n],
      [most + 1n, 0n],
      [0n, most + 1n],
      [1n, 2n],
    ] as const;
    return pairs.map(
      ([a, b]) =>
        [
          { bound: a, level },
          { bound: b, level },
        ] as const,
    );
  });
  return [...alike, [input, input], [input, { bound: 1n, level: input.level - 1 }]];
}

/** The largest operand of each factor, and one more. */
function scaledBorder(preset: Preset): readonly (readonly [NoiseBound, bigint])[] {
  return levelsOf(preset).flatMap((level) => {
    const most = noiseCeiling(preset, level);
    return [1n, 2n, 1000n, preset.plainModulus - 1n].flatMap((l1) => {
      const bound = (most - 1n) / l1 - 1n;
      return bound < 0n ? [] : [bound, bound + 1n].map((a) => [{ bound: a, level }, l1] as const);
    });
  });
}

function factorsOf(preset: Preset): readonly bigint[] {
  const most = (BigInt(preset.degree) * preset.plainModulus) / 2n;
  return [0n, 1n, 2n, preset.plainModulus - 1n, most, most + 1n];
}
