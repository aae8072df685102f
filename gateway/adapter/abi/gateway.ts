import { parseAbi } from 'viem';

/** What programs here use of the gateway's contracts; a test compares it with what the compiler says. */
const request =
  'struct Request { uint256 id; uint8 kind; uint256 hostChainId; address verifier; address consumer; bytes32 reference_; bytes32 publicKeyHash; bytes32 keyId; uint8 keyState; uint8 signedBy; address payer; uint256 fee; uint64 requestedAt; uint64 expiresAt; bytes32[] handles; }';
const answer = 'struct Answer { Request request; bytes result; uint256 parties; bytes32[] shareDigests; }';
const handleTransfer =
  'struct HandleTransfer { uint256 requestId; bytes32 handle; uint256 originChainId; uint256 destinationChainId; address account; bytes32 keyId; uint8 kind; uint8 level; uint256 bound; uint64 epoch; }';
const command =
  'struct Command { uint256 id; uint8 kind; uint64 epoch; bytes payload; uint64 requestedAt; uint64 expiresAt; }';
const permit =
  'struct UserDecryptionRequest { address user; address delegate; bytes32 publicKeyHash; uint256 hostChainId; address context; uint64 validFrom; uint64 validUntil; uint256 nonce; }';
const epoch = 'struct Epoch { uint8 n; uint8 t; uint64 enrolled; uint64 activatedAt; uint64 retiredAt; }';
const anchor = 'struct Anchor { bytes32 identity; uint64 version; bytes32 state; bytes32 auditHead; }';
const operatorSet = 'struct OperatorSet { uint32 version; uint8 count; uint8 quorum; }';
const hostChain =
  'struct HostChain { uint256 chainId; address verifier; address oracle; address accessControl; address compute; bytes32 verifierCodeHash; bytes32 oracleCodeHash; bytes32 accessControlCodeHash; bytes32 computeCodeHash; uint64 confirmations; }';
const ciphertext =
  'struct Ciphertext { bytes32 handle; bytes32 keyId; bytes32 digest; uint8 kind; uint8 level; uint256 bound; bytes32 provenance; }';
const access =
  'struct Access { bytes32 handle; uint256 hostChainId; address account; uint64 version; bool allowed; }';

export const decryptionsAbi = parseAbi([
  request,
  answer,
  handleTransfer,
  permit,
  'event PublicDecryptionRequested(uint256 indexed id, uint256 indexed hostChainId, Request request)',
  'event UserDecryptionRequested(uint256 indexed id, uint256 indexed hostChainId, Request request)',
  'event HandleTransferRequested(uint256 indexed id, uint256 indexed hostChainId, Request request)',
  'event PublicDecryptionAnswered(uint256 indexed id, uint64 epoch, uint256 parties, bytes result)',
  'event UserDecryptionAnswered(uint256 indexed id, uint64 epoch, uint256 parties, bytes32[] shareDigests)',
  'event UserShareAdded(uint256 indexed id, uint64 epoch, uint8 indexed party, bytes32 shareDigest)',
  'event HandleTransferAnswered(uint256 indexed id, uint64 epoch, uint256 parties)',
  'event BatchPosted(bytes32 indexed root, uint64 indexed epoch, uint256 parties, uint256 answered, bytes signatures)',
  'event RequestExpired(uint256 indexed id, address payer, uint256 fee)',
  'function requestPublic(uint256 hostChainId, address consumer, bytes32 hostRequest, bytes32[] handles, uint64 lifetime) payable returns (uint256 id)',
  'function requestTransfer(bytes32 handle, uint256 originChainId, uint256 toChainId, address account, uint64 lifetime) payable returns (uint256 id)',
  'function requestUser(UserDecryptionRequest permit, bytes signature, bytes32[] handles, uint64 lifetime) payable returns (uint256 id)',
  'function answerUser(Request r, uint64 epoch, uint256 parties, bytes32[] shareDigests, bytes signatures)',
  'function addUserShare(Request r, uint64 epoch, uint8 party, bytes32 digest, bytes signature)',
  'function requests(uint256) view returns (bytes32)',
  'function laterShares(uint256, uint8) view returns (bytes32)',
  'function answerPublic(Request r, bytes result, uint64 epoch, bytes signatures)',
  'function answerBatch(uint64 epoch, Answer[] batch, bytes signatures)',
  'function answerTransfer(Request r, HandleTransfer s, bytes signatures)',
  'function expire(Request r)',
  'function carriedBy(bytes32) view returns (uint256)',
  'function answers(uint256) view returns (bytes32)',
  'function feePerHandle() view returns (uint256)',
  'function permitNonces(address) view returns (uint256)',
]);

export const keysAbi = parseAbi([
  command,
  'event CommandRequested(uint256 indexed id, uint8 indexed kind, Command command)',
  'event CommandResponse(uint256 indexed id, uint8 indexed kind, uint8 indexed party, bytes32 statement)',
  'event CommandActivated(uint256 indexed id, uint8 indexed kind, bytes statement)',
  'function request(uint8 kind, bytes payload, uint64 lifetime, uint256 salt) returns (uint256 id)',
  'function respond(Command command, bytes statement, bytes signatures)',
  'function commands(uint256) view returns (bytes32)',
  'function phases(uint256) view returns (uint8)',
  'function responses(uint256, uint8) view returns (bytes32)',
  'function keyRecords(bytes32) view returns (bytes32)',
  'function keyPreset(bytes32 keyId) view returns (uint8)',
  'function commandCount() view returns (uint256)',
  'function activeKeys(uint8) view returns (bytes32)',
]);

export const registryAbi = parseAbi([
  anchor,
  hostChain,
  epoch,
  operatorSet,
  'event EpochActivated(uint64 indexed epoch, uint8 n, uint8 t)',
  'event ActionCarriedOut(bytes32 indexed action)',
  'function publishConfiguration(uint64 number, bytes32 configurationDigest)',
  'function configurations(uint64) view returns (bytes32)',
  'function configurationCount() view returns (uint64)',
  'function anchor(uint8 party, Anchor a, bytes signature)',
  'function anchorVersions(bytes32) view returns (uint64)',
  'function contracts() view returns (address keys, address ciphertexts, address decryptions)',
  'function currentEpoch() view returns (uint64)',
  'function epochs(uint64 epoch) view returns (Epoch)',
  'function hostChain(uint256 chainId) view returns (HostChain chain)',
  'function coprocessorIndex(address account) view returns (uint8 index)',
  'function operatorSet() view returns (OperatorSet)',
  'function operatorIndex(address account) view returns (uint8)',
  'function actionOf(address target, bytes32 callHash) view returns (bytes32)',
  'function approvalsOf(bytes32 action) view returns (uint256)',
]);

export const ciphertextsAbi = parseAbi([
  ciphertext,
  access,
  'event CiphertextSeen(bytes32 indexed handle, address indexed coprocessor, bytes32 commitment)',
  'event CiphertextCommitted(bytes32 indexed handle, Ciphertext ciphertext)',
  'event AccessMirrored(bytes32 indexed handle, uint256 indexed hostChainId, address indexed account, uint64 version, bool allowed)',
  'event ConflictingStatements(bytes32 indexed subject, address indexed coprocessor, bytes32 first, bytes32 second)',
  'function commit(Ciphertext[] ciphertexts, Access[] grants)',
  'function commitments(bytes32) view returns (bytes32)',
  'function conflicts(bytes32) view returns (bytes32)',
  'function access(bytes32, uint256, address) view returns (uint256)',
  'function isAllowed(bytes32 handle, uint256 hostChainId, address account) view returns (bool)',
]);
