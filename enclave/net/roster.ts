import { KmsError } from '../../shared/errors.ts';
import type { Digest, PartyId } from '../../shared/ids.ts';
import { badConfiguration, type Configuration, memberOf } from '../../shared/network/configuration.ts';

/**
 * Who is a member, and where: read from the configurations that are valid now, so that an address that moves is used
 * from its configuration's first block on, while streams that are up stay up. Parties and identities are the same in
 * all configurations of an epoch.
 */
export class Roster {
  readonly networkId: Digest;
  readonly self: PartyId;
  readonly parties: readonly PartyId[];
  readonly #valid: () => readonly Configuration[];

  /**
   * @param identity of this node, Ed25519
   * @param valid the configurations valid now, one or two, the newer one last
   * @throws {KmsError} BAD_CONFIGURATION if they do not name this node
   */
  constructor(networkId: Digest, identity: Uint8Array, valid: () => readonly Configuration[]) {
    this.networkId = networkId;
    this.#valid = valid;
    const own = memberOf(this.#newest, identity);
    if (own === undefined) throw badConfiguration('the configuration does not name this node');
    this.self = own.party;
    this.parties = this.#newest.members.map(({ party }) => party);
  }

  /** The other member that holds this identity key. */
  peerWith(identity: Uint8Array): PartyId | undefined {
    const party = memberOf(this.#newest, identity)?.party;
    return party === this.self ? undefined : party;
  }

  /** Ed25519 public key of a member. @throws {KmsError} BAD_INPUT */
  identityOf(party: PartyId): Uint8Array {
    const member = this.#newest.members[party - 1];
    if (member === undefined) throw new KmsError('BAD_INPUT', `party ${party} is no member of this network`);
    return member.identity;
  }

  /** Ed25519 public key that speaks for a member whose identity is sealed; undefined for a stranger or this node itself. */
  bootKeyOf(identity: Uint8Array): Uint8Array | undefined {
    const member = memberOf(this.#newest, identity);
    return member?.party === this.self ? undefined : member?.bootKey;
  }

  /** Where to look for a member, the newest address first. */
  addressesOf(party: PartyId): readonly string[] {
    const addresses = this.#valid().flatMap(({ members }) => members[party - 1]?.address ?? []);
    return [...new Set(addresses.reverse())];
  }

  get #newest(): Configuration {
    const newest = this.#valid().at(-1);
    if (newest === undefined) throw badConfiguration('no configuration is valid');
    return newest;
  }
}
