import type { Ciphertext, GaloisKeys, RelinKeys, Evaluator as SealEvaluator } from 'node-seal';
import { KmsError } from '../../shared/errors.ts';
import { type Envelope, openEnvelope, sealEnvelope, type ValueKind } from '../../shared/fhe/envelope.ts';
import { rotationElement } from '../../shared/fhe/galois.ts';
import type { KeyBytes } from '../../shared/fhe/key-material.ts';
import {
  addBound,
  addPlainBound,
  modSwitchBound,
  mulBound,
  mulPlainBound,
  type NoiseBound,
  negateBound,
  rotateBound,
  subBound,
} from '../../shared/fhe/noise.ts';
import type { Preset } from '../../shared/fhe/presets.ts';
import { readGaloisKeys, readRelinKeys } from '../../shared/fhe/seal/keys.ts';
import type { Value } from '../../shared/fhe/value.ts';
import type { KeyId } from '../../shared/ids.ts';
import { noble } from '../../shared/noble.ts';
import { attempt, type SealRuntime, savedBytes, sealRuntime } from './context.ts';
import { sealPlaintext } from './plaintext.ts';

type Apply = (evaluator: SealEvaluator, out: Ciphertext) => void;

/**
 * The coprocessor's side: homomorphic operations on envelopes by node-seal, each result with the level and
 * the static noise bound that the rule gives it. A result that nobody would decrypt is refused (TOO_NOISY)
 * before any work is done. Operands of different levels are brought to the lower one; scalar with vector
 * gives a vector. Every method throws what openEnvelope throws, and WRONG_KEY for a ciphertext of another
 * key. Dispose to free SEAL's copies of the keys.
 */
export class Evaluator {
  readonly #runtime: SealRuntime;
  readonly #keyId: KeyId;
  readonly #relin: RelinKeys;
  readonly #galois: GaloisKeys | undefined;

  private constructor(runtime: SealRuntime, keyId: KeyId, relin: RelinKeys, galois: GaloisKeys | undefined) {
    this.#runtime = runtime;
    this.#keyId = keyId;
    this.#relin = relin;
    this.#galois = galois;
  }

  /**
   * @param keys SEAL's bytes of the certified keys; that they belong to keyId is not verified here
   * @throws {KmsError} BAD_ENCODING, TOO_LARGE
   */
  static async create(
    preset: Preset,
    keyId: KeyId,
    keys: Pick<KeyBytes, 'relinKeys' | 'galoisKeys'>,
  ): Promise<Evaluator> {
    const runtime = await sealRuntime(preset);
    const { seal, context } = runtime;
    readRelinKeys(preset, keys.relinKeys);
    if (keys.galoisKeys !== undefined) readGaloisKeys(preset, keys.galoisKeys);
    const relin = new seal.RelinKeys();
    const galois = keys.galoisKeys === undefined ? undefined : new seal.GaloisKeys();
    attempt('BAD_ENCODING', 'SEAL does not load these keys', () => {
      relin.loadFromArray(context, keys.relinKeys);
      galois?.loadFromArray(context, keys.galoisKeys);
    });
    return new Evaluator(runtime, keyId, relin, galois);
  }

  add(a: Uint8Array, b: Uint8Array): Uint8Array {
    return this.#binary(a, b, addBound, (x, y) => (evaluator, out) => evaluator.add(x, y, out));
  }

  sub(a: Uint8Array, b: Uint8Array): Uint8Array {
    return this.#binary(a, b, subBound, (x, y) => (evaluator, out) => evaluator.sub(x, y, out));
  }

  /** Multiplies and relinearises. */
  mul(a: Uint8Array, b: Uint8Array): Uint8Array {
    return this.#binary(a, b, mulBound, (x, y) => (evaluator, out) => {
      evaluator.multiply(x, y, out);
      evaluator.relinearizeInplace(out, this.#relin);
    });
  }

  negate(a: Uint8Array): Uint8Array {
    const operand = this.#open(a);
    const bound = negateBound(operand.preset, operand.bound);
    return this.#unary(operand, bound, (x) => (evaluator, out) => evaluator.negate(x, out));
  }

  /** @throws {KmsError} BAD_INPUT for values that do not fit the preset */
  addPlain(a: Uint8Array, value: Value): Uint8Array {
    const operand = this.#open(a);
    const bound = addPlainBound(operand.preset, operand.bound);
    using plaintext = sealPlaintext(this.#runtime, value).plaintext;
    return this.#unary(
      operand,
      bound,
      (x) => (evaluator, out) => evaluator.addPlain(x, plaintext, out),
      value.kind,
    );
  }

  /** @throws {KmsError} BAD_INPUT for values that do not fit the preset, and for zero */
  mulPlain(a: Uint8Array, value: Value): Uint8Array {
    const p = this.#runtime.preset.plainModulus;
    if (value.kind === 'scalar' && 2n * value.value > p && value.value < p) {
      // SEAL does not centre scalars: (p - m) and a negation cost less noise than m.
      return this.negate(this.mulPlain(a, { kind: 'scalar', value: p - value.value }));
    }
    const operand = this.#open(a);
    const encoded = sealPlaintext(this.#runtime, value);
    using plaintext = encoded.plaintext;
    const bound = mulPlainBound(operand.preset, operand.bound, encoded.l1);
    return this.#unary(
      operand,
      bound,
      (x) => (evaluator, out) => evaluator.multiplyPlain(x, plaintext, out),
      value.kind,
    );
  }

  /**
   * Both rows of a vector rotated `steps` slots to the left (negative: right).
   * @throws {KmsError} BAD_INPUT
   */
  rotate(a: Uint8Array, steps: number): Uint8Array {
    return this.#automorphism(a, rotationElement(this.#runtime.preset, steps));
  }

  /** The two rows of a vector exchanged. @throws {KmsError} BAD_INPUT */
  swapRows(a: Uint8Array): Uint8Array {
    return this.#automorphism(a, 2 * this.#runtime.preset.degree - 1);
  }

  /** The sum of all slots in every slot. @throws {KmsError} BAD_INPUT */
  sumSlots(a: Uint8Array): Uint8Array {
    let sum = this.add(a, this.swapRows(a));
    for (let step = 1; step < this.#runtime.preset.degree / 2; step *= 2) {
      sum = this.add(sum, this.rotate(sum, step));
    }
    return sum;
  }

  /** One level down: smaller, and no longer good for as many operations. @throws {KmsError} WRONG_LEVEL */
  switchDown(a: Uint8Array): Uint8Array {
    const operand = this.#open(a);
    const bound = modSwitchBound(operand.preset, operand.bound);
    return this.#unary(operand, bound, (x) => (evaluator, out) => evaluator.cipherModSwitchToNext(x, out));
  }

  [Symbol.dispose](): void {
    this.#relin.delete();
    this.#galois?.delete();
  }

  #automorphism(a: Uint8Array, element: number): Uint8Array {
    const galois = this.#galois;
    // One key switch exactly, as the bound assumes: SEAL would otherwise compose several.
    if (galois === undefined || element === 1 || !galois.hasKey(element)) {
      throw new KmsError(
        'BAD_INPUT',
        `this key has no Galois key for element ${element}: generate it with --galois`,
      );
    }
    const operand = this.#open(a);
    const bound = rotateBound(operand.preset, operand.bound);
    return this.#unary(operand, bound, (x) => (evaluator, out) => {
      evaluator.applyGalois(x, element, galois, out);
    });
  }

  #open(bytes: Uint8Array): Envelope {
    const envelope = openEnvelope(bytes, noble);
    if (envelope.keyId !== this.#keyId || envelope.preset !== this.#runtime.preset) {
      throw new KmsError('WRONG_KEY', 'the ciphertext is of another key than the one loaded');
    }
    return envelope;
  }

  #binary(
    a: Uint8Array,
    b: Uint8Array,
    rule: (preset: Preset, a: NoiseBound, b: NoiseBound) => NoiseBound,
    apply: (x: Ciphertext, y: Ciphertext) => Apply,
  ): Uint8Array {
    const [left, right] = [this.#open(a), this.#open(b)];
    if (left.bound.level > right.bound.level) return this.#binary(this.switchDown(a), b, rule, apply);
    if (left.bound.level < right.bound.level) return this.#binary(a, this.switchDown(b), rule, apply);
    const bound = rule(left.preset, left.bound, right.bound);
    using x = this.#load(left);
    using y = this.#load(right);
    return this.#finish(mixed(left.kind, right.kind), bound, apply(x, y));
  }

  #unary(
    operand: Envelope,
    bound: NoiseBound,
    apply: (x: Ciphertext) => Apply,
    other: ValueKind = operand.kind,
  ): Uint8Array {
    using x = this.#load(operand);
    return this.#finish(mixed(operand.kind, other), bound, apply(x));
  }

  #load(envelope: Envelope): Ciphertext {
    const ciphertext = new this.#runtime.seal.Ciphertext();
    attempt('BAD_ENCODING', 'SEAL does not load this ciphertext', () => {
      ciphertext.loadFromArray(this.#runtime.context, envelope.body);
    });
    return ciphertext;
  }

  #finish(kind: ValueKind, bound: NoiseBound, apply: Apply): Uint8Array {
    const { seal, context, preset } = this.#runtime;
    using evaluator = new seal.Evaluator(context);
    using out = new seal.Ciphertext();
    attempt('BAD_INPUT', 'SEAL refuses: the result would be a ciphertext without encryption', () => {
      apply(evaluator, out);
    });
    return sealEnvelope({ keyId: this.#keyId, preset, kind, bound }, savedBytes(this.#runtime, out));
  }
}

function mixed(a: ValueKind, b: ValueKind): ValueKind {
  return a === 'scalar' && b === 'scalar' ? 'scalar' : 'vector';
}
