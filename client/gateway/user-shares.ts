import { codeOf, KmsError } from '../../shared/errors.ts';
import { decodeUserShare } from '../../shared/gateway/user-share.ts';
import type { PartyId } from '../../shared/ids.ts';
import type { UserDecryption, UserResult } from '../../shared/protocol/user-decryption/combine.ts';
import { Unanswered } from '../network.ts';
import { fetchShare } from './connectors.ts';
import type { GatewayContext } from './context.ts';
import { ascending, type Decryption } from './decryption.ts';
import { namedShares, type SignedShare, type UserQuestion, verifiedShares } from './signed-shares.ts';
import { waitFor } from './waiting.ts';

/** What the others get once a value stands: a liar that is a little slower is still named. */
const GRACE_MS = 3000;

type Opened = Pick<Decryption, 'agreeing' | 'missing' | 'culprits'> & Pick<UserResult, 'plaintext'>;

/** The shares of one user's request, from the chain that names them and the parents that have them, until they determine the value. */
export class UserShares {
  readonly #context: GatewayContext;
  readonly #question: UserQuestion;
  readonly #startBlock: bigint;
  readonly #combiner: UserDecryption;
  /** How many were named when signatures were last checked. */
  #named = 0;
  #signed: readonly SignedShare[] = [];
  /** Parties whose share came, good or not. */
  readonly #heard = new Set<PartyId>();
  /** Parties that signed the digest of what is no share of theirs. */
  readonly #malformed = new Set<PartyId>();

  constructor(context: GatewayContext, question: UserQuestion, startBlock: bigint, combiner: UserDecryption) {
    [this.#context, this.#question] = [context, question];
    [this.#startBlock, this.#combiner] = [startBlock, combiner];
  }

  /** @throws {KmsError} NOT_ENOUGH_PARTIES while fewer than 2t+1 shares come, NOT_DECODABLE when they do not agree */
  async result(): Promise<Opened> {
    const { waiting, kms } = this.#context;
    const { parties } = kms.network.committee;
    const awaited = { what: 'the shares of the nodes', look: 'are the connectors of 2t+1 nodes up?' };
    let endMs: number | undefined;
    try {
      return await waitFor(waiting, awaited, async () => {
        await this.#gather();
        waiting.onProgress(awaited.what, this.#heard.size, parties.length);
        const isComplete = this.#heard.size === parties.length;
        if (this.#combiner.result === undefined) {
          if (isComplete) throw this.#failure();
          return undefined;
        }
        endMs ??= performance.now() + Math.min(GRACE_MS, waiting.timeoutMs / 2);
        return isComplete || performance.now() >= endMs ? this.#opened() : undefined;
      });
    } catch (error) {
      if (codeOf(error) !== 'TIMEOUT') throw error;
      // The value stands, even where the time is over in which others would have been named.
      if (this.#combiner.result !== undefined) return this.#opened();
      throw this.#failure();
    }
  }

  #opened(): Opened {
    const { result } = this.#combiner;
    if (result === undefined) throw this.#failure();
    const { plaintext, agreeing, wrong } = result;
    return {
      plaintext,
      agreeing,
      missing: this.#missing(),
      culprits: ascending([...wrong, ...this.#malformed]),
    };
  }

  async #gather(): Promise<void> {
    await this.#readChain();
    const wanted = this.#signed.filter(({ party }) => !this.#heard.has(party));
    const { requestId } = this.#question;
    const fetched = await Promise.all(
      wanted.map(async ({ party, shareDigest }) => ({
        party,
        share: await fetchShare(this.#context, requestId, party, shareDigest),
      })),
    );
    for (const { party, share } of fetched) if (share !== undefined) await this.#take(party, share);
  }

  /** Signatures are checked when something new is named, whose signer may be new too. */
  async #readChain(): Promise<void> {
    const { gateway, domain, signers, kms } = this.#context;
    const named = await namedShares(gateway, this.#question.requestId, this.#startBlock);
    if (named.length === this.#named) return;
    const { decodingQuorum } = kms.network.committee;
    this.#signed = await verifiedShares(domain, this.#question, named, signers, decodingQuorum);
    this.#named = named.length;
  }

  /** @param share has the digest that its party signed: whatever it is, it is the party's */
  async #take(party: PartyId, share: Uint8Array): Promise<void> {
    if (this.#heard.has(party)) return;
    this.#heard.add(party);
    try {
      const [sealed, ...more] = decodeUserShare(share);
      if (sealed === undefined || more.length > 0)
        throw new KmsError('BAD_ENCODING', 'one share is expected');
      await this.#combiner.add(sealed);
    } catch (error) {
      if (!(error instanceof KmsError)) throw error;
    }
    if (!this.#combiner.heard.includes(party)) this.#malformed.add(party);
  }

  #missing(): readonly PartyId[] {
    return this.#context.kms.network.committee.parties.filter((party) => !this.#heard.has(party));
  }

  #failure(): KmsError {
    const { n, t, decodingQuorum } = this.#context.kms.network.committee;
    const missing = this.#missing();
    const heard = n - missing.length;
    if (heard < decodingQuorum) {
      const text = `${heard} of ${n} nodes' shares came, ${decodingQuorum} are needed: are their connectors up?`;
      return new Unanswered('NOT_ENOUGH_PARTIES', text, missing);
    }
    const text =
      `the shares of ${heard} nodes determine no value: more than ${t} of them are wrong, or they are of another ` +
      'envelope than the one at hand';
    return new Unanswered('NOT_DECODABLE', text, missing);
  }
}
