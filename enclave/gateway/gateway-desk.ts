import { KmsError } from '../../shared/errors.ts';
import { type Envelope, openEnvelope } from '../../shared/fhe/envelope.ts';
import { type TypedDomain, typedDigest } from '../../shared/gateway/eip712.ts';
import type { PermittedCiphertext } from '../../shared/gateway/policy/ciphertext.ts';
import type { Permission } from '../../shared/gateway/policy/claim.ts';
import { encodeResult, requireResultSize } from '../../shared/gateway/result-bytes.ts';
import { signDigest } from '../../shared/gateway/signature.ts';
import type { Typed, TypedName } from '../../shared/gateway/typed-data.ts';
import { encodeUserShare } from '../../shared/gateway/user-share.ts';
import { word } from '../../shared/gateway/word.ts';
import type { KeyId } from '../../shared/ids.ts';
import type { Rng } from '../../shared/primitives.ts';
import type { Membership } from '../../shared/protocol/machine.ts';
import { equalBytes, toHex } from '../../shared/wire/bytes.ts';
import type { DecryptionDesk } from '../decryption-desk.ts';
import type { ResultSigner } from '../membership/result-signer.ts';
import type { Authority } from './authority.ts';
import { Ongoing } from './ongoing.ts';
import { shareRandomness } from './share-randomness.ts';
import type { PartyWord, SignaturePool, SignedWord, Topic } from './signature-pool.ts';

/** What a parent brings; all of it untrusted. */
export interface GatewayRequest {
  /** Canonical claim (shared/gateway/policy/claim-codec.ts). */
  readonly claim: Uint8Array;
  /** Canonical evidence (shared/gateway/proof/evidence.ts). */
  readonly evidence: Uint8Array;
  /** Of the request's handles, in their order. */
  readonly envelopes: readonly Uint8Array[];
  /** X-Wing public key of a user's request; empty for others. */
  readonly userKey: Uint8Array;
}

/** What a connector posts. */
export interface GatewayAnswer {
  readonly epoch: bigint;
  /** `result` of a public decryption; this node's share for a user; empty for a transfer. */
  readonly body: Uint8Array;
  /** Of 2t+1 members or more, by party; for users each with the digest of its own share. */
  readonly words: readonly PartyWord[];
}

export interface GatewayDeskPorts {
  readonly membership: Membership;
  readonly domain: TypedDomain;
  readonly authority: Pick<Authority, 'permit'>;
  readonly desk: Pick<DecryptionDesk, 'open' | 'seal'>;
  readonly signer: ResultSigner;
  readonly pool: SignaturePool;
  /** This node has found out a result: from now on it may stand in batches. */
  readonly onResult: (statement: Typed<'PublicDecryption'>) => void;
  /** How long an answer waits for the other members' signatures. */
  readonly waitMs: number;
}

type Permitted<K extends Permission['kind']> = Extract<Permission, { readonly kind: K }>;

const NOTHING: Uint8Array = new Uint8Array(0);
/** Names a topic that is the same for all parties. */
const NOBODY = 0;

/**
 * Answers what the gateway asks of the committee, and nothing else: each request is permitted by proven state, each answer is signed
 * for the contracts by 2t+1 members.
 */
export class GatewayDesk {
  readonly #ports: GatewayDeskPorts;
  /** What is made twice is the same (share-randomness.ts): this only saves the work. */
  readonly #shares = new Ongoing<Uint8Array>();

  constructor(ports: GatewayDeskPorts) {
    this.#ports = ports;
  }

  /**
   * @param required throws if the node does not serve that kind now; asked before the work, and before the answer leaves
   * @throws {KmsError} as Authority.permit(); BAD_INPUT for another number of envelopes or a command; WRONG_KEY for an envelope that
   *   is not the committed one, and as openEnvelope(); NOT_ENOUGH_PARTIES, safe to repeat
   */
  async answer(
    request: GatewayRequest,
    required: (kind: Permission['kind']) => void,
    signal: AbortSignal,
  ): Promise<GatewayAnswer> {
    const { permission } = await this.#ports.authority.permit(request.claim, request.evidence);
    required(permission.kind);
    const answer = await this.#answer(permission, request, signal);
    required(permission.kind);
    return answer;
  }

  #answer(permission: Permission, request: GatewayRequest, signal: AbortSignal): Promise<GatewayAnswer> {
    switch (permission.kind) {
      case 'public':
        return this.#answerPublic(permission, request, signal);
      case 'user':
        return this.#answerUser(permission, request, signal);
      case 'transfer':
        return this.#answerTransfer(permission, signal);
      case 'command':
        throw new KmsError('BAD_INPUT', 'a command is carried out, not answered');
    }
  }

  async #answerPublic(
    { keyId, ciphertexts, statement }: Permitted<'public'>,
    { envelopes }: GatewayRequest,
    signal: AbortSignal,
  ): Promise<GatewayAnswer> {
    const opened = this.#envelopes(keyId, ciphertexts, envelopes);
    // Before anybody works for what no contract would take.
    requireResultSize(opened.map(({ kind, preset }) => (kind === 'scalar' ? 1 : preset.degree)));
    const values = await Promise.all(opened.map((one) => this.#ports.desk.open(one, signal)));
    const result = encodeResult(values.map(({ value }) => value));
    const said = { ...statement, result };
    this.#ports.onResult(said);
    return this.#sharedAnswer('PublicDecryption', said, result, signal);
  }

  async #answerTransfer({ statement }: Permitted<'transfer'>, signal: AbortSignal): Promise<GatewayAnswer> {
    return this.#sharedAnswer('HandleTransfer', statement, NOTHING, signal);
  }

  async #answerUser(
    { keyId, ciphertexts, publicKeyHash, statement }: Permitted<'user'>,
    { envelopes, userKey }: GatewayRequest,
    signal: AbortSignal,
  ): Promise<GatewayAnswer> {
    const { self, primitives } = this.#ports.membership;
    if (!equalBytes(primitives.sha256(userKey), publicKeyHash)) {
      throw new KmsError('BAD_INPUT', "this is not the user's key that the request names");
    }
    const opened = this.#envelopes(keyId, ciphertexts, envelopes);
    const topic = this.#shareTopic(statement);
    const share = await this.#shares.get(toHex(topic.id), () => this.#seal(statement, opened, userKey));
    const words = await this.#collect(topic, self, primitives.sha256(share), signal);
    return { epoch: statement.epoch, body: share, words };
  }

  /** Apart from the work: the pool keeps it for long, and with it whatever its functions can see. */
  #shareTopic(statement: Permitted<'user'>['statement']): Omit<Topic, 'quorum'> {
    const digestOf = (party: number, shareDigest: Uint8Array): Uint8Array =>
      this.#digestOf('UserDecryptionShare', { ...statement, party, shareDigest });
    return { id: digestOf(NOBODY, new Uint8Array(32)), digestOf };
  }

  async #seal(
    { requestId }: Permitted<'user'>['statement'],
    envelopes: readonly Envelope[],
    userKey: Uint8Array,
  ): Promise<Uint8Array> {
    const { membership, desk, signer } = this.#ports;
    const { networkId, primitives: hashes } = membership;
    const rngOf = (sealed: Uint8Array): Rng => shareRandomness({ networkId, hashes, signer }, sealed);
    const request = word(requestId);
    return encodeUserShare(
      await Promise.all(envelopes.map((one) => desk.seal(one, request, userKey, rngOf))),
    );
  }

  /** Every member says the same. */
  async #sharedAnswer<Name extends 'PublicDecryption' | 'HandleTransfer'>(
    name: Name,
    statement: Typed<Name> & { readonly epoch: bigint },
    body: Uint8Array,
    signal: AbortSignal,
  ): Promise<GatewayAnswer> {
    const id = this.#digestOf(name, statement);
    const { self } = this.#ports.membership;
    const words = await this.#collect({ id, digestOf: () => id }, self, NOTHING, signal);
    return { epoch: statement.epoch, body, words };
  }

  async #collect(
    topic: Omit<Topic, 'quorum'>,
    self: Membership['self'],
    own: Uint8Array,
    signal: AbortSignal,
  ): Promise<readonly PartyWord[]> {
    const { pool, signer, waitMs, membership } = this.#ports;
    const signed: SignedWord = {
      own,
      signature: signer.use((secret) => signDigest(topic.digestOf(self, own), secret)),
    };
    const quorum = membership.committee.decodingQuorum;
    return pool.collect({ ...topic, quorum }, signed, waitMs, signal);
  }

  #digestOf<Name extends TypedName>(name: Name, statement: Typed<Name>): Uint8Array {
    return typedDigest(this.#ports.domain, name, statement);
  }

  /** What the chain committed and permitted, and nothing that only calls itself so. */
  #envelopes(
    keyId: KeyId,
    permitted: readonly PermittedCiphertext[],
    given: readonly Uint8Array[],
  ): readonly Envelope[] {
    if (given.length !== permitted.length) {
      throw new KmsError(
        'BAD_INPUT',
        `the request has ${permitted.length} handles, not ${given.length} envelopes`,
      );
    }
    const { primitives } = this.#ports.membership;
    return permitted.map(({ digest, kind, bound }, i) => {
      // Before the first byte of it is read.
      if (toHex(primitives.sha256(given[i]!)) !== digest) throw notCommitted();
      const envelope = openEnvelope(given[i]!, primitives);
      const isCommitted =
        envelope.keyId === keyId &&
        envelope.kind === kind &&
        envelope.bound.level === bound.level &&
        envelope.bound.bound === bound.bound;
      if (!isCommitted) throw notCommitted();
      return envelope;
    });
  }
}

function notCommitted(): KmsError {
  return new KmsError('WRONG_KEY', 'an envelope is not the one that the chain has for its handle');
}
