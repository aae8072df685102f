import { type Hex, hexOf } from '../../gateway/adapter/chain-data.ts';
import { KmsError } from '../../shared/errors.ts';
import { addressOf } from '../../shared/gateway/signature.ts';
import type { PartyId } from '../../shared/ids.ts';
import { enrolmentCodec, verifyEnrolment } from '../../shared/membership/enrolment.ts';
import { decode } from '../../shared/wire/codec.ts';
import { listed } from '../fault.ts';
import { type Network, Unanswered } from '../network.ts';

/** What is known of some addresses. */
export interface KnownSigners {
  readonly parties: ReadonlyMap<Hex, PartyId>;
  /** Parties that showed no enrolment when they were asked. */
  readonly silent: readonly PartyId[];
}

/**
 * Who signs results for each member in this epoch. A node shows its enrolment over attested TLS, and it counts with the signatures of
 * the other members' identities: no chain and no endpoint is asked. Who breaks it: all other members together in epoch 0, 2t + 1 later.
 */
export class ResultSigners {
  readonly #network: Network;
  readonly #parties = new Map<Hex, PartyId>();

  constructor(network: Network) {
    this.#network = network;
  }

  /**
   * Which of these addresses are members' signers, and whose. If one is unknown the nodes are asked; when `needed` are known, the others
   * have no more than a moment. A node that does not answer leaves its signer unknown.
   */
  async partiesOf(addresses: ReadonlySet<Hex>, needed: number): Promise<KnownSigners> {
    if (this.#known(addresses).size === addresses.size)
      return { parties: this.#known(addresses), silent: [] };
    const { committee, electorate } = this.#network;
    const answers = await this.#network.ask(
      async (node, options) => (await node.describe({}, options)).enrolment,
      (party, encoded) => {
        const enrolment = decode(enrolmentCodec, encoded);
        verifyEnrolment(electorate, enrolment);
        const { statement } = enrolment;
        if (statement.party !== party)
          throw new KmsError('BAD_PEER', "a node showed another one's enrolment");
        this.#parties.set(hexOf(addressOf(statement.signer)), party);
        return this.#known(addresses).size >= needed;
      },
    );
    const silent = committee.parties.filter((party) => !answers.values.has(party));
    return { parties: this.#known(addresses), silent };
  }

  /**
   * The parties behind these addresses; everybody else is nobody.
   * @throws {KmsError} BAD_SIGNATURE if they are fewer; NOT_ENOUGH_PARTIES if nodes that do not answer may be among them
   */
  async quorumOf(addresses: ReadonlySet<Hex>, needed: number): Promise<readonly PartyId[]> {
    const { parties, silent } = await this.partiesOf(addresses, needed);
    if (parties.size >= needed) return [...parties.values()].sort((a, b) => a - b);
    const text = `${parties.size} members signed the answer, as far as their enrolments are known; ${needed} must`;
    if (silent.length === 0) throw new KmsError('BAD_SIGNATURE', text);
    throw new Unanswered('NOT_ENOUGH_PARTIES', `${text}; ${listed(silent)} showed none`, silent);
  }

  #known(addresses: ReadonlySet<Hex>): ReadonlyMap<Hex, PartyId> {
    return new Map([...this.#parties].filter(([address]) => addresses.has(address)));
  }
}
