import { parseAbi } from 'viem';

/** What programs here use of the host chains' contracts; a test compares it with what the compiler says. */
const derivation =
  'struct Derivation { uint8 operation; bytes32[] inputs; bytes32 argument; bytes32 keyId; uint8 kind; uint8 level; uint256 bound; uint256 chainId; address compute; uint256 nonce; }';
const oracleRequest =
  'struct Request { uint256 id; uint256 chainId; address oracle; address consumer; bytes4 selector; uint32 gasLimit; bytes32 keyId; uint64 requestedAt; uint256 reward; bytes32[] handles; }';
const publicDecryption =
  'struct PublicDecryption { uint256 requestId; uint256 destinationChainId; address verifier; address consumer; bytes32 hostRequest; bytes32 keyId; uint8 keyState; uint64 epoch; bytes32[] handles; bytes result; }';
const resultBatch = 'struct ResultBatch { bytes32 root; uint32 count; uint64 epoch; }';
const handleTransfer =
  'struct HandleTransfer { uint256 requestId; bytes32 handle; uint256 originChainId; uint256 destinationChainId; address account; bytes32 keyId; uint8 kind; uint8 level; uint256 bound; uint64 epoch; }';
const keyGeneration =
  'struct KeyGeneration { uint256 commandId; bytes32 keyId; uint8 preset; uint64 epoch; bytes32 recordDigest; }';
const lifecycleTransition =
  'struct LifecycleTransition { uint256 commandId; bytes32 keyId; uint8 fromState; uint8 toState; uint64 epoch; }';
const committeeChange =
  'struct CommitteeChange { uint64 fromEpoch; uint64 toEpoch; uint8 t; address[] signers; uint64 graceSeconds; }';

export const oracleAbi = parseAbi([
  oracleRequest,
  publicDecryption,
  resultBatch,
  'event DecryptionRequested(uint256 indexed id, address indexed consumer, bytes32 slot, Request request)',
  'function deliver(Request r, PublicDecryption result, bytes signatures)',
  'function deliverFromBatch(Request r, PublicDecryption result, ResultBatch batch, bytes32[] proof, bytes signatures)',
  'function execute(Request r) returns (bool isDone)',
  'function requests(uint256) view returns (bytes32)',
  'function delivered(uint256) view returns (bool)',
  'function executed(uint256) view returns (bool)',
]);

export const computeAbi = parseAbi([
  derivation,
  handleTransfer,
  'event Computed(bytes32 indexed handle, address indexed caller, bytes32 provenance, Derivation derivation)',
  'event HandleAdmitted(bytes32 indexed handle, address indexed account, uint256 originChainId)',
  'function admit(HandleTransfer s, bytes signatures)',
  'function facts(bytes32) view returns (uint256)',
  'function keyring() view returns (address)',
  'function inputs() view returns (address)',
  'function input(bytes32 digest, bytes32 keyId, uint8 kind, address user, bytes proof) returns (bytes32)',
  'function add(bytes32 a, bytes32 b) returns (bytes32)',
  'function sub(bytes32 a, bytes32 b) returns (bytes32)',
  'function mul(bytes32 a, bytes32 b) returns (bytes32)',
  'function addPlain(bytes32 a, uint256 value) returns (bytes32)',
  'function mulPlain(bytes32 a, uint256 value) returns (bytes32)',
  'function negate(bytes32 a) returns (bytes32)',
  'function switchDown(bytes32 a) returns (bytes32)',
]);

export const accessControlAbi = parseAbi([
  'event AccessChanged(bytes32 indexed handle, address indexed account, uint64 version, bool allowed)',
  'function access(bytes32, address) view returns (uint256)',
  'function isAllowed(bytes32 handle, address account) view returns (bool)',
  'function allow(bytes32 handle, address account)',
  'function allowOn(bytes32 handle, uint256 chainId, address account, bool allowed)',
  'function publish(bytes32 handle)',
]);

export const keyringAbi = parseAbi([
  keyGeneration,
  lifecycleTransition,
  'struct Key { uint8 state; uint8 preset; uint256 commandId; }',
  'function keys(bytes32 keyId) view returns (Key)',
  'function add(KeyGeneration s, bytes signatures)',
  'function move(LifecycleTransition s, bytes signatures)',
]);

export const verifierAbi = parseAbi([
  committeeChange,
  'function changeCommittee(CommitteeChange change, bytes signatures)',
  'function currentEpoch() view returns (uint64)',
  'function partyOfSigner(uint64 epoch, address signer) view returns (uint8)',
  'function verifiedBatches(bytes32) view returns (bool)',
]);
