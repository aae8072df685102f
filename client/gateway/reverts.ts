import { decodeErrorResult, parseAbi } from 'viem';
import type { Refusal } from '../../gateway/adapter/endpoint.ts';
import { type ErrorCode, KmsError } from '../../shared/errors.ts';

/** Errors of the contracts that a client may meet; a test compares them with what the compiler says. */
export const contractErrors = parseAbi([
  'error Paused()',
  'error RequestsPaused()',
  'error BadLifetime(uint64 seconds_)',
  'error NoEpoch()',
  'error EpochChangePending(uint256 id)',
  'error TestKeyInProduction()',
  'error UnknownPreset(uint8 preset)',
  'error UnknownKey(bytes32 keyId)',
  'error ActiveKeyExists(bytes32 keyId)',
  'error BeingDestroyed(bytes32 keyId)',
  'error NoSuchTransition(uint8 fromState, uint8 toState)',
  'error NotAnOperator(address account)',
  'error AlreadyApproved(address operator)',
  'error NotPublic(bytes32 handle)',
  'error NotAllowed(bytes32 handle, address account)',
  'error NotTheOwner(bytes32 handle, address caller)',
  'error KeyDoesNotDecrypt(bytes32 keyId)',
  'error BadCiphertext(bytes32 handle)',
  'error WrongFee(uint256 paid, uint256 needed)',
  'error TooManyBytes(uint256 sizeBytes)',
  'error RateExceeded(address requester)',
  'error UnknownChain(uint256 chainId)',
  'error PermitExpired()',
  'error PermitNotYetValid()',
  'error PermitRevoked(address user)',
  'error NotTheDelegate(address caller)',
  'error BadPermitSignature(address user)',
  'error UnknownHandle(bytes32 handle)',
  'error UnknownKind(uint8 kind)',
  'error DifferentKeys(bytes32 a, bytes32 b)',
  'error KeyDoesNotEncrypt(bytes32 keyId)',
  'error KeyDestroyed(bytes32 keyId)',
  'error BadProof(bytes32 digest)',
  'error PlaintextTooLarge(uint256 value, uint256 modulus)',
  'error TooNoisy(uint256 bound, uint256 ceiling)',
  'error WrongLevel(uint8 a, uint8 b)',
  'error NotDecryptable(uint8 level, uint256 decryptionLevel)',
  'error BadPlaintext(uint256 l1)',
]);

type ErrorName = (typeof contractErrors)[number]['name'];

/** What each means to whoever sent the transaction, and what to do. */
const meanings: Readonly<Record<ErrorName, readonly [ErrorCode, string]>> = {
  Paused: ['NOT_PERMITTED', 'the operators have paused commands; ask them'],
  RequestsPaused: ['NOT_PERMITTED', 'the operators have paused requests; ask them'],
  BadLifetime: ['BAD_INPUT', 'the contract allows no such lifetime; choose another --timeout'],
  NoEpoch: ['WRONG_EPOCH', 'the gateway has no active committee yet; enrol its members first'],
  EpochChangePending: ['WRONG_EPOCH', 'the committee is changing; try again when it has changed'],
  TestKeyInProduction: ['BAD_INPUT', 'a production network makes no keys of a test preset'],
  UnknownPreset: ['UNKNOWN_PRESET', 'the contracts know no such preset'],
  UnknownKey: ['UNKNOWN_KEY', 'the gateway has no such key'],
  ActiveKeyExists: ['BAD_INPUT', 'a preset has one active key, and this one has another'],
  BeingDestroyed: ['NOT_PERMITTED', 'the key is being destroyed'],
  NoSuchTransition: ['NOT_PERMITTED', 'the key does not go from its state to that one'],
  NotAnOperator: ['NOT_PERMITTED', 'the account is not one of the operators'],
  AlreadyApproved: ['BAD_INPUT', 'this operator has approved it already; others must'],
  NotPublic: ['NOT_PERMITTED', 'the handle is not public on its chain; publish it first'],
  NotAllowed: ['NOT_PERMITTED', 'the account may not use the handle; its owner can allow it'],
  NotTheOwner: ['NOT_PERMITTED', "only the handle's owner may do that"],
  KeyDoesNotDecrypt: ['NOT_PERMITTED', 'the key decrypts no more, or not yet'],
  BadCiphertext: ['UNAVAILABLE', 'the coprocessors have not committed the handle; try again later'],
  WrongFee: ['BUSY', 'the fee has just changed; try again'],
  TooManyBytes: ['TOO_LARGE', 'one request takes fewer ciphertexts'],
  RateExceeded: ['BUSY', 'the account has asked too often; wait an hour, or use another'],
  UnknownChain: ['BAD_INPUT', 'the gateway does not know this host chain'],
  PermitExpired: ['NOT_PERMITTED', 'the permit has expired; sign a new one'],
  PermitNotYetValid: ['NOT_PERMITTED', 'the permit is not valid yet'],
  PermitRevoked: ['NOT_PERMITTED', 'the user has revoked the permit'],
  NotTheDelegate: ['NOT_PERMITTED', 'the permit names another account to use it'],
  BadPermitSignature: ['BAD_SIGNATURE', 'the permit is not signed by its user'],
  UnknownHandle: ['BAD_INPUT', 'the chain has no such handle; check it, and --host'],
  UnknownKind: ['BAD_INPUT', 'the contract knows no such kind'],
  DifferentKeys: ['WRONG_KEY', 'the handles are encrypted under different keys'],
  KeyDoesNotEncrypt: [
    'NOT_PERMITTED',
    'the key is not active on this chain, and only an active key takes inputs',
  ],
  KeyDestroyed: ['NOT_PERMITTED', 'the key is not usable on this chain: destroyed, or never activated'],
  BadProof: ['NOT_PERMITTED', 'the submitter may not bring inputs to this chain; ask its operators'],
  PlaintextTooLarge: ['BAD_INPUT', "the number is not below the key's plaintext modulus"],
  TooNoisy: ['TOO_NOISY', 'the result could not be decrypted'],
  WrongLevel: ['WRONG_LEVEL', 'the handles have different levels; switch the higher one down'],
  NotDecryptable: ['WRONG_LEVEL', 'the result would have a level that is not decrypted'],
  BadPlaintext: ['BAD_INPUT', 'a product with this number is no ciphertext'],
};

/** One clear error for a transaction that the chain refuses. @param what it was to do */
export function refused(what: string, refusal: Refusal): KmsError {
  const name = nameOf(refusal);
  if (name !== undefined) {
    const [code, meaning] = meanings[name];
    return new KmsError(code, `cannot ${what}: ${meaning} (${name})`);
  }
  const said =
    refusal.revertData === undefined
      ? printable(refusal.message)
      : `error ${refusal.revertData.slice(0, 10)}`;
  return new KmsError('BAD_INPUT', `cannot ${what}: the chain refuses the transaction (${said})`);
}

function nameOf({ revertData }: Refusal): ErrorName | undefined {
  if (revertData === undefined) return undefined;
  try {
    return decodeErrorResult({ abi: contractErrors, data: revertData }).errorName as ErrorName;
  } catch {
    return undefined;
  }
}

/** Whoever runs the endpoint wrote it. */
function printable(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, ' ');
}
