import type { Evaluator } from '../../client/seal/evaluator.ts';
import { KmsError } from '../../shared/errors.ts';
import { openEnvelope, sealEnvelope } from '../../shared/fhe/envelope.ts';
import { type Derivation, operations } from '../../shared/gateway/handle.ts';
import { noble } from '../../shared/noble.ts';
import { toHex } from '../../shared/wire/bytes.ts';
import { digestOf } from './envelope-store.ts';

/**
 * The result of one operation, bit for bit the same for every coprocessor: SEAL's evaluation draws nothing at random. Its envelope
 * states the level and the noise bound that the chain derived, which must cover those of the evaluation.
 * @param operands envelopes of the derivation's inputs, in their order
 * @throws {KmsError} BAD_INPUT, TOO_NOISY, WRONG_LEVEL, WRONG_KEY, BAD_ENCODING: there is no such result
 */
export function evaluate(
  derivation: Derivation,
  operands: readonly Uint8Array[],
  evaluator: Evaluator,
): Uint8Array {
  const result = apply(derivation, operands, evaluator);
  const { keyId, preset, kind, bound, body } = openEnvelope(result, noble);
  const isCovered = bound.level === derivation.level && bound.bound <= derivation.bound;
  if (!isCovered || kind !== derivation.kind || keyId !== toHex(derivation.keyId)) {
    throw new KmsError(
      'BAD_INPUT',
      'the chain derived another key, kind, level or bound than the evaluation has',
    );
  }
  return sealEnvelope(
    { keyId, preset, kind, bound: { level: derivation.level, bound: derivation.bound } },
    body,
  );
}

/**
 * An input's envelope must be what the chain says of it.
 * @throws {KmsError} BAD_INPUT if it is another, or of another key, kind, level or bound; what openEnvelope throws
 */
export function checkInput(derivation: Derivation, envelope: Uint8Array): void {
  if (digestOf(envelope) !== `0x${toHex(derivation.argument)}`)
    throw new KmsError('BAD_INPUT', 'another envelope');
  const { keyId, kind, bound } = openEnvelope(envelope, noble);
  const isOfKey = keyId === toHex(derivation.keyId) && kind === derivation.kind;
  if (!isOfKey || bound.level !== derivation.level || bound.bound !== derivation.bound) {
    throw new KmsError('BAD_INPUT', 'an input of another key, kind, level or bound than the chain says');
  }
}

function apply(derivation: Derivation, operands: readonly Uint8Array[], evaluator: Evaluator): Uint8Array {
  const [a, b] = operands;
  if (a === undefined) throw new KmsError('BAD_INPUT', 'an operation without operands');
  const value = derivation.argument.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  switch (derivation.operation) {
    case operations.negate:
      return evaluator.negate(a);
    case operations.switchDown:
      return evaluator.switchDown(a);
    case operations.addPlain:
      return evaluator.addPlain(a, { kind: 'scalar', value });
    case operations.mulPlain:
      return evaluator.mulPlain(a, { kind: 'scalar', value });
  }
  if (b === undefined) throw new KmsError('BAD_INPUT', 'an operation without its second operand');
  switch (derivation.operation) {
    case operations.add:
      return evaluator.add(a, b);
    case operations.sub:
      return evaluator.sub(a, b);
    case operations.mul:
      return evaluator.mul(a, b);
    default:
      throw new KmsError('BAD_INPUT', 'an operation that is not known');
  }
}
