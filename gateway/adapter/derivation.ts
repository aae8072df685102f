import { KmsError } from '../../shared/errors.ts';
import type { ValueKind } from '../../shared/fhe/envelope.ts';
import { type Derivation, handleOf, operations, provenanceOf } from '../../shared/gateway/handle.ts';
import { fromHex, toHex } from '../../shared/wire/bytes.ts';
import type { Hex } from './chain-data.ts';

/** A derivation as an event of Compute gives it. */
export interface EmittedDerivation {
  readonly operation: number;
  readonly inputs: readonly Hex[];
  readonly argument: Hex;
  readonly keyId: Hex;
  readonly kind: number;
  readonly level: number;
  readonly bound: bigint;
  readonly chainId: bigint;
  readonly compute: Hex;
  readonly nonce: bigint;
}

const kinds: readonly ValueKind[] = ['scalar', 'vector'];
const arity: Readonly<Record<number, number>> = {
  [operations.input]: 0,
  [operations.add]: 2,
  [operations.sub]: 2,
  [operations.mul]: 2,
  [operations.addPlain]: 1,
  [operations.mulPlain]: 1,
  [operations.negate]: 1,
  [operations.switchDown]: 1,
};

/**
 * Recomputes a handle and its provenance from everything they are derived from, for this chain and this contract.
 * @throws {KmsError} BAD_ENCODING if the event says anything else
 */
export function checkedDerivation(
  emitted: EmittedDerivation,
  said: { readonly handle: Hex; readonly provenance: Hex; readonly chainId: bigint; readonly compute: Hex },
): Derivation {
  const kind = kinds[emitted.kind - 1];
  if (kind === undefined || arity[emitted.operation] !== emitted.inputs.length) {
    throw new KmsError('BAD_ENCODING', 'an operation that is not known');
  }
  const derivation: Derivation = {
    ...emitted,
    kind,
    inputs: emitted.inputs.map(bytes),
    argument: bytes(emitted.argument),
    keyId: bytes(emitted.keyId),
    compute: bytes(emitted.compute),
  };
  const isOfChain = emitted.chainId === said.chainId && emitted.compute.toLowerCase() === said.compute;
  const isDerived =
    hex(handleOf(derivation)) === said.handle && hex(provenanceOf(derivation)) === said.provenance;
  if (!isOfChain || !isDerived)
    throw new KmsError('BAD_ENCODING', 'a handle that is not the one of its derivation');
  return derivation;
}

function bytes(value: Hex): Uint8Array {
  return fromHex(value.slice(2).toLowerCase());
}

function hex(value: Uint8Array): Hex {
  return `0x${toHex(value)}`;
}
