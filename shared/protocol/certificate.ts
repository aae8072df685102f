import { type Digest, digest, type KeyId, type PartyId } from '../ids.ts';
import { type Codec, digest32, list, struct } from '../wire/codec.ts';
import { type PartySignature, partySignature } from './broadcast/messages.ts';
import type { Membership } from './machine.ts';
import { isSigned, signStatement } from './statement.ts';

/** n - t signatures of distinct parties on one digest; two certificates always share an honest signer. */
export interface Certificate {
  readonly statement: Digest;
  readonly signatures: readonly PartySignature[];
}

export const certificateCodec: Codec<Certificate> = struct({
  statement: digest32,
  signatures: list(partySignature, 64),
});

/** What a certificate is about: signatures bind the session (or key) and the kind of statement. */
export interface StatementScope {
  readonly domain: 'transcript' | 'relinearisation-round-1' | 'key';
  readonly scope: Digest;
}

export function signScoped(
  by: Membership,
  { domain, scope }: StatementScope,
  statement: Digest,
): PartySignature {
  const fields = [by.networkId, by.configuration, by.epoch, scope, statement];
  const signature = signStatement(by, `certificate/${domain}`, ...fields);
  return { party: by.self, signature };
}

/** The statement "this key record is the key". */
export function keyScope(key: KeyId): StatementScope {
  return { domain: 'key', scope: digest(key) };
}

/** Whose signatures count. */
export type Electorate = Pick<
  Membership,
  'networkId' | 'configuration' | 'epoch' | 'committee' | 'identities' | 'primitives'
>;

function isScopedSignature(
  among: Electorate,
  { domain, scope }: StatementScope,
  statement: Digest,
  one: PartySignature,
): boolean {
  const fields = [among.networkId, among.configuration, among.epoch, scope, statement];
  return isSigned(among, one.party, one.signature, `certificate/${domain}`, ...fields);
}

/** True iff the certificate holds n - t valid signatures of distinct parties. */
export function isCertified(among: Electorate, scope: StatementScope, certificate: Certificate): boolean {
  const signers = new Set(certificate.signatures.map((one) => one.party));
  return (
    signers.size === certificate.signatures.length &&
    signers.size >= among.committee.certificateQuorum &&
    certificate.signatures.every((one) => isScopedSignature(among, scope, certificate.statement, one))
  );
}

/** Gathers signatures on whatever digests parties state, one per party, until one digest has n - t. */
export class CertificateCollector {
  readonly #membership: Membership;
  readonly #scope: StatementScope;
  readonly #signatures = new Map<Digest, PartySignature[]>();
  readonly #heard = new Set<PartyId>();
  #certificate: Certificate | undefined;

  constructor(membership: Membership, scope: StatementScope) {
    this.#membership = membership;
    this.#scope = scope;
  }

  get certificate(): Certificate | undefined {
    return this.#certificate;
  }

  /** This party's own signature on the statement, counted and returned for sending. */
  sign(statement: Digest): PartySignature {
    const own = signScoped(this.#membership, this.#scope, statement);
    this.add(statement, own);
    return own;
  }

  /** Counts a signature; invalid ones and second ones of a party are ignored. */
  add(statement: Digest, one: PartySignature): void {
    if (this.#heard.has(one.party) || !isScopedSignature(this.#membership, this.#scope, statement, one))
      return;
    this.#heard.add(one.party);
    const all = [...(this.#signatures.get(statement) ?? []), one];
    this.#signatures.set(statement, all);
    if (all.length >= this.#membership.committee.certificateQuorum) {
      this.#certificate ??= { statement, signatures: all };
    }
  }

  /** Adopts a certificate made by others. @returns false if it is not valid */
  adopt(certificate: Certificate): boolean {
    if (this.#certificate !== undefined) return this.#certificate.statement === certificate.statement;
    if (!isCertified(this.#membership, this.#scope, certificate)) return false;
    this.#certificate = certificate;
    return true;
  }
}
