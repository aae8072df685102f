import { bytesOf, type Hex, hexOf } from '../../gateway/adapter/chain-data.ts';
import { callOf, read } from '../../gateway/adapter/contract.ts';
import { checkedDerivation } from '../../gateway/adapter/derivation.ts';
import type { HostContracts } from '../../gateway/adapter/network-contracts.ts';
import type { TransactionCall } from '../../gateway/adapter/sender.ts';
import { KmsError } from '../../shared/errors.ts';
import { type Envelope, openEnvelope, type ValueKind } from '../../shared/fhe/envelope.ts';
import { checkDecryptable, inputBound } from '../../shared/fhe/noise.ts';
import { type Derivation, operations } from '../../shared/gateway/handle.ts';
import { keyStates } from '../../shared/gateway/key-state.ts';
import { word } from '../../shared/gateway/word.ts';
import { noble } from '../../shared/noble.ts';
import { equalBytes, fromHex } from '../../shared/wire/bytes.ts';
import type { GatewayContext } from './context.ts';
import { committed, upload } from './coprocessors.ts';
import { inputDigest } from './input-digest.ts';
import { eventIn, send } from './transactions.ts';
import type { Wallet } from './wallet.ts';

/** Who acts on which host chain. */
export interface Acting {
  readonly account: Wallet;
  /** Default: the first host chain of the gateway file. */
  readonly hostChainId?: bigint;
}

/** What Compute does with handles; a number is a plain operand. */
export type Computation =
  | { readonly operation: 'add' | 'sub' | 'mul'; readonly a: Hex; readonly b: Hex }
  | { readonly operation: 'addPlain' | 'mulPlain'; readonly a: Hex; readonly value: bigint }
  | { readonly operation: 'negate' | 'switchDown'; readonly a: Hex };

/** What a new handle must be derived from. */
type Expected = Pick<Derivation, 'operation' | 'inputs' | 'argument'>;

const kinds: readonly ValueKind[] = ['scalar', 'vector'];
const NOTHING = new Uint8Array(32);

/** What a contract calls Compute.input with. */
export interface PreparedInput {
  /** SHA-256 of the envelope. */
  readonly digest: Hex;
  readonly keyId: Hex;
  /** As handles have it. */
  readonly kind: number;
  readonly proof: Hex;
}

/** For whom an input is. */
export interface InputPurpose {
  /** Who calls Compute: a contract, or the user. */
  readonly application: Hex;
  readonly user: Hex;
  /** Vouches for it until there are proofs of input. */
  readonly submitter: Wallet;
  /** Default: the first host chain of the gateway file. */
  readonly hostChainId?: bigint;
}

/**
 * Brings a fresh ciphertext to the coprocessors, for an application's contract to name it on its chain.
 * @throws {KmsError} what openEnvelope() throws, TOO_NOISY, UNKNOWN_KEY; BAD_INPUT for a ciphertext that is not fresh; UNAVAILABLE
 */
export async function prepareInput(
  context: GatewayContext,
  envelope: Uint8Array,
  { application, user, submitter, hostChainId }: InputPurpose,
): Promise<PreparedInput> {
  const opened = openEnvelope(envelope, noble);
  requireFresh(opened);
  const host = await context.host(hostChainId);
  const { chainId } = host.chain;
  const keyId = hexOf(fromHex(opened.keyId));
  const { state } = await read(host.keyring, 'keys', [keyId]);
  if (state === keyStates.none) {
    throw new KmsError('UNKNOWN_KEY', `chain ${chainId} knows no key ${opened.keyId}`);
  }
  await upload(context, envelope);
  const kind = kinds.indexOf(opened.kind) + 1;
  const named = { digest: hexOf(fromHex(opened.digest)), keyId, kind };
  const signed = inputDigest({ chainId, verifier: host.inputs, application, user, ...named });
  return { ...named, proof: hexOf(await submitter.signDigest(signed)) };
}

/**
 * Brings a fresh ciphertext in: to the coprocessors, and by its digest to the host chain, whose handle is returned when the
 * coprocessors have committed it. The account owns the handle, which is derived here from what was asked, whatever the endpoint says.
 * @throws {KmsError} as prepareInput(); NOT_PERMITTED, TIMEOUT
 */
export async function bringInput(
  context: GatewayContext,
  envelope: Uint8Array,
  { account, hostChainId, submitter }: Acting & { readonly submitter: Wallet },
): Promise<Hex> {
  const host = await context.host(hostChainId);
  const { address } = account;
  const purpose = { application: address, user: address, submitter, hostChainId: host.chain.chainId };
  const { digest, keyId, kind, proof } = await prepareInput(context, envelope, purpose);
  const call = callOf(host.compute, 'input', [digest, keyId, kind, address, proof]);
  const expected = { operation: operations.input, inputs: [], argument: bytesOf(digest) };
  return derived(context, host, account, call, expected, 'bring the input in');
}

/** @returns the result's handle, when the coprocessors have computed and committed it @throws {KmsError} what a revert says; TIMEOUT */
export async function compute(
  context: GatewayContext,
  computation: Computation,
  { account, hostChainId }: Acting,
): Promise<Hex> {
  const host = await context.host(hostChainId);
  const { call, expected } = callFor(host, computation);
  return derived(context, host, account, call, expected, `compute ${computation.operation}`);
}

/** Lets another account use a handle; its owner may. @throws {KmsError} NOT_PERMITTED, TIMEOUT */
export async function allow(
  { host: hostOf, waiting }: GatewayContext,
  handle: Hex,
  whom: Hex,
  { account, hostChainId }: Acting,
): Promise<void> {
  const { accessControl, chain } = await hostOf(hostChainId);
  await send(waiting, account, chain, callOf(accessControl, 'allow', [handle, whom]), 'allow the handle');
}

/** Makes a handle public for ever; whoever may use it may. @throws {KmsError} NOT_PERMITTED, TIMEOUT */
export async function publish(
  { host: hostOf, waiting }: GatewayContext,
  handle: Hex,
  { account, hostChainId }: Acting,
): Promise<void> {
  const { accessControl, chain } = await hostOf(hostChainId);
  await send(waiting, account, chain, callOf(accessControl, 'publish', [handle]), 'publish the handle');
}

/** Coprocessors take as inputs what was encrypted just now and computed on by nobody. */
function requireFresh({ preset, bound }: Envelope): void {
  checkDecryptable(preset, bound);
  const fresh = inputBound(preset);
  if (bound.bound !== fresh.bound || bound.level !== fresh.level) {
    throw new KmsError('BAD_INPUT', 'only a fresh ciphertext is brought in; compute on handles instead');
  }
}

function callFor(
  { compute: on }: HostContracts,
  computation: Computation,
): { readonly call: TransactionCall; readonly expected: Expected } {
  const { operation } = computation;
  const inputs = [computation.a, ...('b' in computation ? [computation.b] : [])].map(bytesOf);
  const code = operations[operation];
  switch (operation) {
    case 'add':
    case 'sub':
    case 'mul':
      return {
        call: callOf(on, operation, [computation.a, computation.b]),
        expected: { operation: code, inputs, argument: NOTHING },
      };
    case 'addPlain':
    case 'mulPlain':
      return {
        call: callOf(on, operation, [computation.a, computation.value]),
        expected: { operation: code, inputs, argument: word(computation.value) },
      };
    default:
      return {
        call: callOf(on, operation, [computation.a]),
        expected: { operation: code, inputs, argument: NOTHING },
      };
  }
}

async function derived(
  context: GatewayContext,
  { chain, compute: on }: HostContracts,
  account: Wallet,
  call: TransactionCall,
  expected: Expected,
  what: string,
): Promise<Hex> {
  const receipt = await send(context.waiting, account, chain, call, what);
  const { handle, provenance, derivation } = await eventIn(context.waiting, on, 'Computed', receipt);
  const said = { handle, provenance, chainId: chain.chainId, compute: on.address };
  const { operation, inputs, argument } = checkedDerivation(derivation, said);
  const isAsked =
    operation === expected.operation &&
    equalBytes(argument, expected.argument) &&
    inputs.length === expected.inputs.length &&
    inputs.every((input, i) => equalBytes(input, expected.inputs[i]!));
  if (!isAsked)
    throw new KmsError('NOT_PROVEN', 'the endpoint gives a handle of something else than was asked');
  await committed(context, handle);
  return handle;
}
