import { failureOf, type Network } from '../../client/network.ts';
import { type ClientOptions, KmsClient } from '../../client/sdk/kms-client.ts';
import type { NetworkKey } from '../../client/sdk/network-key.ts';
import { nodePrimitives, systemRng } from '../../enclave/primitives.ts';
import { KmsError } from '../../shared/errors.ts';
import { openEnvelope, type ValueKind } from '../../shared/fhe/envelope.ts';
import { decodeValue, type Value } from '../../shared/fhe/value.ts';
import { type KeyId, keyId, type PartyId } from '../../shared/ids.ts';
import { Kernel } from '../../shared/math/kernel/kernel.ts';
import { Ring } from '../../shared/math/ring.ts';
import { taskOf } from '../../shared/protocol/decryption/task.ts';
import { UserDecryption } from '../../shared/protocol/user-decryption/combine.ts';
import { userKeyDigest } from '../../shared/protocol/user-decryption/sealed-share.ts';
import type { UserKey } from '../../shared/protocol/user-decryption/user-key.ts';
import { toHex } from '../../shared/wire/bytes.ts';
import { type DecryptResponse, DirectService } from './generated/kms/direct/v1/direct_pb.js';

/** A decrypted value and what became of each party. */
export interface Decryption {
  readonly value: Value;
  /** Parties whose answers give this value; at least 2t+1. */
  readonly agreeing: readonly PartyId[];
  /** Parties that gave no usable answer in time. */
  readonly missing: readonly PartyId[];
  /** Parties that said something else, or that more than t parties saw signing a wrong share. */
  readonly culprits: readonly PartyId[];
}

const KEYGEN_TIMEOUT_MS = 10 * 60_000;

/** Drives a committee whose enclaves serve DirectService: all its nodes are asked at once, each believed for itself alone. */
export class DirectClient {
  readonly kms: KmsClient;

  private constructor(kms: KmsClient) {
    this.kms = kms;
  }

  /** @throws {KmsError} as KmsClient.connect */
  static async connect(options: ClientOptions): Promise<DirectClient> {
    return new DirectClient(await KmsClient.connect(options));
  }

  [Symbol.dispose](): void {
    this.kms[Symbol.dispose]();
  }

  get network(): Network {
    return this.kms.network;
  }

  /** The first key of this request that any node names and that is certified. @throws {KmsError} as failureOf */
  async generateKey({
    preset,
    timeoutMs = KEYGEN_TIMEOUT_MS,
  }: {
    readonly preset: string;
    readonly timeoutMs?: number;
  }): Promise<NetworkKey> {
    const requestId = systemRng(32);
    const fetched = new Map<KeyId, Promise<NetworkKey>>();
    let made: NetworkKey | undefined;
    const answers = await this.network.askService(
      DirectService,
      async (node, options) => keyId(toHex((await node.generateKey({ requestId, preset }, options)).keyId)),
      async (_party, id) => {
        const fetching = fetched.get(id) ?? this.kms.getKey(id);
        fetched.set(id, fetching);
        const key = await fetching;
        if (key.record.request.request !== toHex(requestId)) {
          throw new KmsError('WRONG_KEY', 'the node named a key of another request');
        }
        made = key;
        return true;
      },
      { timeoutMs },
    );
    if (made === undefined) throw failureOf(answers, this.network.committee, 1);
    return made;
  }

  /** The value that 2t+1 nodes give. @throws {KmsError} as openEnvelope, failureOf */
  async decrypt(envelope: Uint8Array): Promise<Decryption> {
    const { kind } = openEnvelope(envelope, nodePrimitives);
    const { committee } = this.network;
    const said = new Map<PartyId, DecryptResponse>();
    const agreement = (): readonly PartyId[] =>
      [...Map.groupBy(said.keys(), (party) => String(said.get(party)?.values)).values()].find(
        (parties) => parties.length >= committee.decodingQuorum,
      ) ?? [];
    const answers = await this.network.askService(
      DirectService,
      (node, options) => node.decrypt({ envelope }, options),
      (party, answer) => {
        said.set(party, answer);
        return agreement().length > 0;
      },
    );
    const agreeing = agreement().toSorted((a, b) => a - b);
    const [first] = agreeing.flatMap((party) => said.get(party) ?? []);
    if (first === undefined) throw failureOf(answers, committee, committee.decodingQuorum);
    const accusers = (accused: PartyId): number =>
      agreeing.filter((party) => said.get(party)?.culprits.includes(accused)).length;
    return {
      value: valueIn(kind, first.values),
      agreeing,
      missing: committee.parties.filter((party) => !said.has(party)),
      culprits: committee.parties.filter(
        (party) => accusers(party) > committee.t || (said.has(party) && !agreeing.includes(party)),
      ),
    };
  }

  /** The value that 2t+1 nodes' shares give to that user. @throws {KmsError} as decrypt() */
  async userDecrypt(envelope: Uint8Array, user: UserKey): Promise<Decryption> {
    const parsed = openEnvelope(envelope, nodePrimitives);
    const { preset, kind, keyId: key, digest: ciphertext } = parsed;
    const { electorate, committee } = this.network;
    const { networkId, epoch, identities } = electorate;
    const kernel = await Kernel.load();
    const data = new Ring(kernel, preset.degree, preset.dataPrimes);
    const requestId = systemRng(32);
    const userKey = userKeyDigest(nodePrimitives, user.publicKey);
    const collector = new UserDecryption({
      scope: {
        ...{ request: requestId, networkId, key, epoch, ciphertext, userKey, kind },
        level: preset.decryptionLevel,
      },
      ...{ committee, identities, preset, rng: systemRng, primitives: nodePrimitives },
      privateKey: user.privateKey,
      ring: data.take(preset.decryptionLevel),
      c0: taskOf(parsed, () => data).c0,
    });
    const answers = await this.network.askService(
      DirectService,
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
}

function valueIn(kind: ValueKind, values: readonly bigint[]): Value {
  const [scalar = 0n] = values;
  return kind === 'scalar' ? { kind, value: scalar } : { kind, values: BigUint64Array.from(values) };
}
