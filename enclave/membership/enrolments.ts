import { parseUnverifiedDocument } from '../../shared/attestation/document.ts';
import { MAX_SKEW_MS, type NodeTrust, verifyNode } from '../../shared/attestation/node-evidence.ts';
import { KmsError } from '../../shared/errors.ts';
import type { TypedDomain } from '../../shared/gateway/eip712.ts';
import { addressOf } from '../../shared/gateway/signature.ts';
import type { EpochId, PartyId } from '../../shared/ids.ts';
import {
  type Enrolment,
  type EnrolmentStatement,
  enrolmentCodec,
  enrolmentNonce,
  enrolmentStatementCodec,
  isEnrolmentSignature,
  isPossession,
  provePossession,
  signaturesNeeded,
  signEnrolment,
  statementOf,
} from '../../shared/membership/enrolment.ts';
import { tlsKeyOf } from '../../shared/membership/incarnation.ts';
import type { MembershipMessage } from '../../shared/membership/messages.ts';
import { isNodeEnrolmentSignature, signNodeEnrolment } from '../../shared/membership/node-enrolment.ts';
import type { Membership } from '../../shared/protocol/machine.ts';
import { digestOf } from '../../shared/protocol/statement.ts';
import { equalBytes } from '../../shared/wire/bytes.ts';
import { decode, encode } from '../../shared/wire/codec.ts';
import type { Line } from '../net/line.ts';
import type { SealedStore } from '../store/sealed-store.ts';
import type { ResultSigner } from './result-signer.ts';

export interface EnrolmentPorts {
  /** Of the network's contracts; undefined if it has none. */
  readonly domain: TypedDomain | undefined;
  readonly store: SealedStore;
  readonly trust: NodeTrust;
  readonly monotonicMs: () => number;
  /** DER SubjectPublicKeyInfo of this boot's TLS key. */
  readonly spki: Uint8Array;
  /** A new document of this node with that nonce. */
  readonly document: (nonce: Uint8Array) => Promise<Uint8Array>;
  readonly tell: (line: Line, message: MembershipMessage) => void;
}

type Asking = Extract<MembershipMessage, { kind: 'enrolment-asked' }>;
/** What a member has signed of this node's statement. */
type Signed = Omit<Extract<MembershipMessage, { kind: 'enrolment-signed' }>, 'kind'>;

/** A document counts for so long in an enrolment: as long as a stream lives by one. */
const MAX_DOCUMENT_AGE_MS = 60 * 60_000;
/** A member is asked again after this, and may ask again after half of it. */
const REPEAT_MS = 5_000;

/**
 * Gets this node's result signer enrolled for the epoch, and enrols those of the others: each signs what it saw of the other's
 * attestation, for one signer per member and epoch, which it remembers before it signs. In a network with a gateway the result
 * signer signs the same for the contracts, and what another one's signer has signed counts once this node knows that signer.
 */
export class Enrolments {
  readonly #membership: Membership;
  readonly #signer: ResultSigner;
  readonly #ports: EnrolmentPorts;
  readonly #asked = new Map<PartyId, number>();
  readonly #askedBy = new Map<PartyId, number>();
  /** Of the identity; whether contracts take it as well is not known yet. */
  readonly #heard = new Map<PartyId, Signed>();
  readonly #counted = new Map<PartyId, Signed>();
  #remembering: Promise<unknown> = Promise.resolve();
  #collecting: Promise<unknown> = Promise.resolve();
  #own: Asking | undefined;
  #making: Promise<Asking> | undefined;
  #done: Enrolment | undefined;

  private constructor(membership: Membership, signer: ResultSigner, ports: EnrolmentPorts) {
    this.#membership = membership;
    this.#signer = signer;
    this.#ports = ports;
  }

  /** @throws {KmsError} STORE_FAILED */
  static async open(
    membership: Membership,
    signer: ResultSigner,
    ports: EnrolmentPorts,
  ): Promise<Enrolments> {
    const all = new Enrolments(membership, signer, ports);
    const record = await ports.store.get(all.#record);
    if (record !== undefined) all.#done = decode(enrolmentCodec, record);
    return all;
  }

  /** Address of the signer that this node has vouched for; of its own too. @throws {KmsError} STORE_FAILED */
  async signerOf(party: PartyId): Promise<Uint8Array | undefined> {
    const { self, epoch } = this.#membership;
    const key =
      party === self ? this.#signer.publicKey : await this.#ports.store.get(signerRecord(epoch, party));
    return key && addressOf(key);
  }

  /** Signed by as many members as must; undefined until then. */
  get enrolment(): Enrolment | undefined {
    return this.#done;
  }

  /** Asks the member at the other end if its signature is still wanted. To be called often. */
  async ask(line: Line): Promise<void> {
    const nowMs = this.#ports.monotonicMs();
    const { party } = line;
    if (this.#done !== undefined || nowMs - (this.#asked.get(party) ?? -REPEAT_MS) < REPEAT_MS) return;
    this.#asked.set(party, nowMs);
    const own = await this.#current();
    if (!this.#counted.has(party)) this.#ports.tell(line, own);
  }

  /** A member asks to be enrolled. @throws {KmsError} BAD_PEER, BAD_ATTESTATION, CONFLICT for a second signer */
  async asked(line: Line, { statement, document, possession }: Asking): Promise<void> {
    const nowMs = this.#ports.monotonicMs();
    if (nowMs - (this.#askedBy.get(line.party) ?? -REPEAT_MS) < REPEAT_MS / 2) return;
    this.#askedBy.set(line.party, nowMs);
    await this.#check(line, statement, document);
    if (!isPossession(this.#membership, statement, possession)) {
      throw new KmsError('BAD_PEER', 'the member does not hold the signer it wants enrolled');
    }
    // One after the other, or two boots of one member would both find that none is known yet.
    const remembered = this.#remembering.then(() => this.#rememberSignerOf(statement));
    this.#remembering = remembered.catch(() => undefined);
    await remembered;
    this.#ports.tell(line, {
      kind: 'enrolment-signed',
      signature: signEnrolment(this.#membership, statement),
      contractSignature: this.#signForContracts(statement),
    });
    // It may have signed for this node before its signer was known here.
    await this.#collect(line.party);
  }

  /** A member answers. @throws {KmsError} STORE_FAILED */
  async signed({ party }: Line, signed: Signed): Promise<void> {
    const own = this.#own;
    if (own === undefined || this.#done !== undefined || this.#counted.has(party)) return;
    if (!isEnrolmentSignature(this.#membership, party, own.statement, signed.signature)) return;
    this.#heard.set(party, signed);
    await this.#collect(party);
  }

  /** One after the other: the first that finds enough makes it durable. */
  #collect(from: PartyId): Promise<void> {
    const collected = this.#collecting.then(() => this.#collectNow(from));
    this.#collecting = collected.catch(() => undefined);
    return collected;
  }

  async #collectNow(from: PartyId): Promise<void> {
    const own = this.#own;
    const heard = this.#heard.get(from);
    if (own === undefined || heard === undefined || this.#done !== undefined) return;
    const isGood = await this.#isForContracts(own, from, heard);
    // A new document may have taken the place of the one that was signed.
    if (own !== this.#own) return;
    if (isGood) this.#counted.set(from, heard);
    if (this.#counted.size < signaturesNeeded(this.#membership)) return;
    const counted = [...this.#counted].sort(([a], [b]) => a - b);
    const enrolment = {
      statement: own.statement,
      signatures: counted.map(([party, { signature }]) => ({ party, signature })),
      contractSignatures: counted.flatMap(([party, { contractSignature: signature }]) =>
        this.#ports.domain === undefined || signature === undefined ? [] : [{ party, signature }],
      ),
    };
    await this.#ports.store.put(this.#record, encode(enrolmentCodec, enrolment));
    this.#done = enrolment;
  }

  /**
   * For contracts the signature must be of the very signer that this node has seen attested: with a foreign one among them
   * they refuse all.
   */
  async #isForContracts(
    { statement }: Asking,
    party: PartyId,
    { contractSignature }: Signed,
  ): Promise<boolean> {
    const { domain, store } = this.#ports;
    if (domain === undefined) return true;
    const signer = await store.get(signerRecord(statement.epoch, party));
    if (signer === undefined || contractSignature === undefined) return false;
    const { primitives } = this.#membership;
    return isNodeEnrolmentSignature(primitives, domain, statement, signer, contractSignature);
  }

  #signForContracts(statement: EnrolmentStatement): Uint8Array | undefined {
    const { domain } = this.#ports;
    if (domain === undefined) return undefined;
    const { primitives } = this.#membership;
    return this.#signer.use((secret) => signNodeEnrolment(primitives, domain, statement, secret));
  }

  async #check(line: Line, statement: EnrolmentStatement, document: Uint8Array): Promise<void> {
    const { party, node } = line;
    const { primitives } = this.#membership;
    const tlsKey = tlsKeyOf(primitives, node.spki);
    const about = { party, signer: statement.signer, tlsKey };
    const nonce = enrolmentNonce(this.#membership, about);
    const claim = { identity: node.identity, spki: node.spki, document };
    const { trust } = this.#ports;
    const verified = await verifyNode(primitives, trust, claim, { kind: 'nonce', nonce });
    if (trust.nowMs() - verified.document.timestampMs > MAX_DOCUMENT_AGE_MS + MAX_SKEW_MS) {
      throw new KmsError('BAD_ATTESTATION', 'the document of the enrolment is too old');
    }
    const digest = digestOf(primitives, document);
    const expected = statementOf(this.#membership, about, verified.document, digest);
    const encoded = encode(enrolmentStatementCodec, statement);
    if (!equalBytes(encode(enrolmentStatementCodec, expected), encoded)) {
      throw new KmsError('BAD_PEER', 'the enrolment says something else than the attestation');
    }
  }

  /** One signer per member and epoch. */
  async #rememberSignerOf({ party, epoch, signer }: EnrolmentStatement): Promise<void> {
    const name = signerRecord(epoch, party);
    const known = await this.#ports.store.get(name);
    if (known === undefined) await this.#ports.store.put(name, signer);
    else if (!equalBytes(known, signer)) {
      throw new KmsError('CONFLICT', `party ${party} has another result signer in this epoch already`);
    }
  }

  /** What this node asks with; made anew when its document has grown too old to convince anybody. */
  async #current(): Promise<Asking> {
    const { trust } = this.#ports;
    const own = this.#own;
    if (own !== undefined) {
      const { timestampMs } = parseUnverifiedDocument(own.document);
      if (trust.nowMs() - timestampMs < MAX_DOCUMENT_AGE_MS) return own;
      this.#own = undefined;
    }
    this.#making ??= this.#make();
    try {
      return await this.#making;
    } finally {
      this.#making = undefined;
    }
  }

  async #make(): Promise<Asking> {
    const { primitives, self } = this.#membership;
    const { spki, document: makeDocument } = this.#ports;
    const about = { party: self, signer: this.#signer.publicKey, tlsKey: tlsKeyOf(primitives, spki) };
    const document = await makeDocument(enrolmentNonce(this.#membership, about));
    const digest = digestOf(primitives, document);
    const statement = statementOf(this.#membership, about, parseUnverifiedDocument(document), digest);
    const possession = this.#signer.use((secret) => provePossession(this.#membership, statement, secret));
    this.#heard.clear();
    this.#counted.clear();
    this.#own = { kind: 'enrolment-asked', statement, document, possession };
    return this.#own;
  }

  get #record(): string {
    return `membership/enrolment-${this.#membership.epoch}`;
  }
}

/** Which signer of a member this node has vouched for. */
function signerRecord(epoch: EpochId, party: PartyId): string {
  return `membership/enrolled-${epoch}-${party}`;
}
