import { type Envelope, openEnvelope } from '../../shared/fhe/envelope.ts';
import { checkDecryptable } from '../../shared/fhe/noise.ts';
import { decodeValue, type Value } from '../../shared/fhe/value.ts';
import { digest, type PartyId } from '../../shared/ids.ts';
import type { Kernel } from '../../shared/math/kernel/kernel.ts';
import { Ring } from '../../shared/math/ring.ts';
import { noble } from '../../shared/noble.ts';
import type { Rng } from '../../shared/primitives.ts';
import { decodeValueBytes, openResult, type SignedResult } from '../../shared/protocol/decryption/result.ts';
import { taskOf } from '../../shared/protocol/decryption/task.ts';
import { UserDecryption } from '../../shared/protocol/user-decryption/combine.ts';
import { userKeyDigest } from '../../shared/protocol/user-decryption/sealed-share.ts';
import type { UserKey } from '../../shared/protocol/user-decryption/user-key.ts';
import { fromHex, toHex } from '../../shared/wire/bytes.ts';
import { failureOf, type Network } from '../network.ts';

/** A decrypted value and what became of each party. */
export interface Decryption {
  readonly value: Value;
  /** Parties whose answers give this value; at least 2t+1. */
  readonly agreeing: readonly PartyId[];
  /** Parties that gave no usable answer in time. */
  readonly missing: readonly PartyId[];
  /** Parties that signed something else, or that more than t parties saw signing a wrong share. */
  readonly culprits: readonly PartyId[];
}

/**
 * KEY-EXPOSING, development only (protocols.md section 5). Decrypts in public: every node learns the value, which is the
 * one that 2t+1 nodes signed for this request.
 * @param envelope canonical envelope bytes
 * @throws {KmsError} what openEnvelope throws, TOO_NOISY, UNKNOWN_KEY, NOT_ENOUGH_PARTIES, NOT_DECODABLE
 */
export async function decryptPublicly(network: Network, rng: Rng, envelope: Uint8Array): Promise<Decryption> {
  const { keyId: key, digest: ciphertext, kind } = checkedEnvelope(envelope);
  const { electorate, committee } = network;
  const { networkId, epoch } = electorate;
  const requestId = rng(32);
  const asked = { networkId, request: digest(toHex(requestId)), key, epoch, ciphertext };
  const signed = new Map<PartyId, SignedResult>();
  const agreement = (): string | undefined => agreedValue(signed, committee.decodingQuorum);
  const answers = await network.ask(
    async (node, options) => (await node.decrypt({ requestId, envelope }, options)).result,
    (party, encoded) => {
      signed.set(party, openResult(electorate, { ...asked, party }, encoded));
      return agreement() !== undefined;
    },
  );
  const value = agreement();
  if (value === undefined) throw failureOf(answers, committee, committee.decodingQuorum);
  const agreeing = committee.parties.filter((party) => isValue(signed.get(party), value));
  const accusers = (accused: PartyId): number =>
    agreeing.filter((party) => signed.get(party)?.culprits.includes(accused)).length;
  return {
    value: decodeValueBytes(fromHex(value), kind),
    agreeing,
    missing: committee.parties.filter((party) => !signed.has(party)),
    culprits: committee.parties.filter(
      (party) => accusers(party) > committee.t || (signed.has(party) && !agreeing.includes(party)),
    ),
  };
}

/**
 * KEY-EXPOSING, development only (protocols.md section 5). Decrypts for the holder of a user key alone: each node
 * encrypts its partial decryption to that key, and only this process puts them together.
 * @throws {KmsError} as decryptPublicly
 */
export async function decryptForUser(
  network: Network,
  kernel: Kernel,
  rng: Rng,
  envelope: Uint8Array,
  user: UserKey,
): Promise<Decryption> {
  const parsed = checkedEnvelope(envelope);
  const { preset, kind } = parsed;
  const { electorate, committee } = network;
  const data = new Ring(kernel, preset.degree, preset.dataPrimes);
  const { c0 } = taskOf(parsed, () => data);
  const requestId = rng(32);
  const collector = new UserDecryption({
    scope: {
      request: requestId,
      networkId: electorate.networkId,
      key: parsed.keyId,
      epoch: electorate.epoch,
      ciphertext: parsed.digest,
      userKey: userKeyDigest(noble, user.publicKey),
      kind,
      level: preset.decryptionLevel,
    },
    committee,
    identities: electorate.identities,
    privateKey: user.privateKey,
    primitives: noble,
    ring: data.take(preset.decryptionLevel),
    preset,
    c0,
    rng,
  });
  const answers = await network.ask(
    async (node, options) =>
      (await node.userDecrypt({ requestId, envelope, userKey: user.publicKey }, options)).sealedShare,
    async (_party, share) => (await collector.add(share)) !== undefined,
  );
  const { result, heard } = collector;
  if (result === undefined) throw failureOf(answers, committee, committee.decodingQuorum);
  return {
    value: decodeValue(kernel, preset, kind, result.plaintext),
    agreeing: result.agreeing,
    missing: committee.parties.filter((party) => !heard.includes(party)),
    culprits: result.wrong,
  };
}

/** Refused here already: a node would send back no more than a code. */
function checkedEnvelope(bytes: Uint8Array): Envelope {
  const envelope = openEnvelope(bytes, noble);
  checkDecryptable(envelope.preset, envelope.bound);
  return envelope;
}

/** The value (hex of its canonical bytes) that `quorum` parties signed. */
function agreedValue(signed: ReadonlyMap<PartyId, SignedResult>, quorum: number): string | undefined {
  const counts = new Map<string, number>();
  for (const { value } of signed.values()) {
    const count = (counts.get(toHex(value)) ?? 0) + 1;
    if (count >= quorum) return toHex(value);
    counts.set(toHex(value), count);
  }
  return undefined;
}

function isValue(result: SignedResult | undefined, value: string): boolean {
  return result !== undefined && toHex(result.value) === value;
}
