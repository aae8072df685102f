import { type Address, bytesToHex, type Hex, hexToBytes } from 'viem';
import { mnemonicToAccount } from 'viem/accounts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { nodePrimitives, systemRng } from '../../../enclave/primitives.ts';
import { LocalAccount } from '../../../infra/local/chains/account.ts';
import type { Enclave } from '../../../parent/connector/enclave-client.ts';
import { KmsError } from '../../../shared/errors.ts';
import { openEnvelope } from '../../../shared/fhe/envelope.ts';
import { decodeValue, type Value } from '../../../shared/fhe/value.ts';
import { typedDigest } from '../../../shared/gateway/eip712.ts';
import { decodeUserShare } from '../../../shared/gateway/user-share.ts';
import { word } from '../../../shared/gateway/word.ts';
import { Kernel } from '../../../shared/math/kernel/kernel.ts';
import { Ring } from '../../../shared/math/ring.ts';
import { committeeOf } from '../../../shared/network/configuration.ts';
import { taskOf } from '../../../shared/protocol/decryption/task.ts';
import { UserDecryption } from '../../../shared/protocol/user-decryption/combine.ts';
import { generateUserKey } from '../../../shared/protocol/user-decryption/hpke.ts';
import { userKeyDigest } from '../../../shared/protocol/user-decryption/sealed-share.ts';
import type { UserKey } from '../../../shared/protocol/user-decryption/user-key.ts';
import { toHex } from '../../../shared/wire/bytes.ts';
import { eventually } from '../../adversary/membership/live-nodes.ts';
import { type BroughtHandle, ConnectedNetwork, EVERYBODY, type KnownKey } from './connected-network.ts';
import { lastEvent } from './founded.ts';

/** What connectors do for users and for other chains: permits from calldata, keys and shares over HTTP, handles that travel. */

/** Account 7 of the local chains. */
const user = mnemonicToAccount('test test test test test test test test test test test junk', {
  addressIndex: 7,
});

let network: ConnectedNetwork;
let known: KnownKey;

beforeAll(async () => {
  network = await ConnectedNetwork.start();
  known = await network.makeKey();
}, 300_000);

afterAll(async () => {
  await network?.[Symbol.asyncDispose]();
});

const gateway = () => network.enclaves.chains.gateway;
const reader = () => network.enclaves.relayer;
/** Account 8: an application. */
const application = (): Address => new LocalAccount(network.host.chain, 8).address;

interface UserAnswered {
  readonly id: bigint;
  readonly parties: bigint;
  readonly shareDigests: readonly Hex[];
}

async function eventsOf<Args extends { readonly id: bigint }>(name: string, id: bigint): Promise<Args[]> {
  const events = await reader().client.getContractEvents({
    ...gateway().decryptions,
    eventName: name,
    fromBlock: 0n,
  });
  return events.map(({ args }) => args as unknown as Args).filter((one) => one.id === id);
}

/** A value that the user and the application may use. */
async function granted(value: bigint): Promise<BroughtHandle> {
  const handle = await network.input(await known.key.encrypt({ kind: 'scalar', value }), known.id);
  const accounts = [user.address, application()];
  for (const account of accounts) {
    const to = network.host.accessControl;
    await network.host.deployer.send({ to, name: 'allow', args: [handle.handle, account] });
  }
  await network.mirror(handle.handle, accounts);
  return handle;
}

/** A user signs a permit, and somebody brings it. @returns the request's id */
async function requestedFor({ publicKey }: UserKey, handle: Hex): Promise<bigint> {
  const { timestamp } = await reader().client.getBlock();
  const permit = {
    ...{ user: hexToBytes(user.address), delegate: new Uint8Array(20), context: hexToBytes(application()) },
    ...{ publicKeyHash: nodePrimitives.sha256(publicKey), hostChainId: BigInt(network.host.chain.chainId) },
    ...{ validFrom: timestamp - 60n, validUntil: timestamp + 3600n, nonce: 0n },
  };
  const domain = {
    gatewayChainId: BigInt(gateway().chain.chainId),
    registry: hexToBytes(gateway().registry.address),
  };
  const signature = await user.sign({
    hash: bytesToHex(typedDigest(domain, 'UserDecryptionRequest', permit)),
  });
  const asked = {
    ...{ ...permit, user: user.address, delegate: EVERYBODY, context: application() },
    publicKeyHash: bytesToHex(permit.publicKeyHash),
  };
  const args = [asked, signature, [handle], 600n];
  await reader().send({ to: gateway().decryptions, name: 'requestUser', args });
  return (await lastEvent(reader(), gateway().decryptions, 'UserDecryptionRequested')).id as bigint;
}

/** To every parent. */
async function bring({ publicKey }: UserKey): Promise<void> {
  for (const { url } of network.running) {
    const where = `${url}/user-keys/${toHex(nodePrimitives.sha256(publicKey))}`;
    expect((await fetch(where, { method: 'PUT', body: publicKey as BodyInit })).status).toBe(204);
  }
}

/** As the user's client does with the shares that it fetched and found on chain. */
async function openedBy(
  { publicKey, privateKey }: UserKey,
  envelope: Uint8Array,
  id: bigint,
  shares: readonly Uint8Array[],
): Promise<Value | undefined> {
  const parsed = openEnvelope(envelope, nodePrimitives);
  const { preset, kind } = parsed;
  const { networkId, epochStart } = network.enclaves.nodes.chain;
  const { configuration } = epochStart.signed;
  const kernel = await Kernel.load();
  const data = new Ring(kernel, preset.degree, preset.dataPrimes);
  const decryption = new UserDecryption({
    scope: {
      ...{ request: word(id), networkId, key: parsed.keyId, epoch: configuration.epoch },
      ...{ ciphertext: parsed.digest, kind, level: preset.decryptionLevel },
      userKey: userKeyDigest(nodePrimitives, publicKey),
    },
    committee: committeeOf(configuration),
    identities: new Map(configuration.members.map(({ party, identity }) => [party, identity])),
    ...{ privateKey, primitives: nodePrimitives, preset, rng: systemRng },
    ring: data.take(preset.decryptionLevel),
    c0: taskOf(parsed, () => data).c0,
  });
  for (const share of shares) for (const one of decodeUserShare(share)) await decryption.add(one);
  const { result } = decryption;
  return result === undefined ? undefined : decodeValue(kernel, preset, kind, result.plaintext);
}

/** Every party's digest, from the answer and from what was added to it; undefined while one is missing. */
async function digestsOf(id: bigint): Promise<readonly Hex[] | undefined> {
  const [answered] = await eventsOf<UserAnswered>('UserDecryptionAnswered', id);
  if (answered === undefined) return undefined;
  const added = await eventsOf<{ id: bigint; party: number; shareDigest: Hex }>('UserShareAdded', id);
  const listed = [1, 2, 3, 4].filter((party) => (answered.parties >> BigInt(party - 1)) & 1n);
  const all = [1, 2, 3, 4].map((party) => {
    const at = listed.indexOf(party);
    return at >= 0 ? answered.shareDigests[at] : added.find((one) => one.party === party)?.shareDigest;
  });
  return all.every((one) => one !== undefined) ? (all as Hex[]) : undefined;
}

async function sharesOf(id: bigint): Promise<readonly Uint8Array[]> {
  return Promise.all(
    network.running.map(async ({ url, party }) => {
      const response = await fetch(`${url}/shares/${id}/${party}`);
      expect(response.status).toBe(200);
      return new Uint8Array(await response.arrayBuffer());
    }),
  );
}

describe('connectors and users', () => {
  test('a permit opens a value for its user, with the share of every node', async () => {
    const handle = await granted(77n);
    const userKey = await generateUserKey(systemRng);
    const id = await requestedFor(userKey, handle.handle);
    // Nobody can seal to a key of which there is only the hash.
    await bring(userKey);
    await eventually(async () => (await digestsOf(id)) !== undefined);
    expect(await eventsOf('UserDecryptionAnswered', id)).toHaveLength(1);
    const shares = await sharesOf(id);
    const digests = shares.map((share) => bytesToHex(nodePrimitives.sha256(share)));
    expect(digests).toEqual(await digestsOf(id));
    expect(await openedBy(userKey, handle.envelope, id, shares)).toEqual({ kind: 'scalar', value: 77n });
    const stranger = await generateUserKey(systemRng);
    expect(await openedBy(stranger, handle.envelope, id, shares)).toBeUndefined();
  }, 120_000);

  test('a node killed between its share and the chain adds the very same share later', async () => {
    const handle = await granted(5n);
    const userKey = await generateUserKey(systemRng);
    const count = await reader().read({ to: gateway().decryptions, name: 'requestCount' });
    const id = BigInt(count as bigint) + 1n;
    // The last one in the rotation, whose share the others leave out.
    const party = Number((id / 16n + 3n) % 4n) + 1;
    await network.stopAll();
    for (const other of [1, 2, 3, 4].filter((one) => one !== party)) {
      await network.startConnector(other, { enclave: (enclave) => withoutWordOf(party, enclave) });
    }
    let body: Uint8Array | undefined;
    const killed = await network.startConnector(party, {
      enclave: (enclave) => ({
        party: (signal) => enclave.party(signal),
        signBatch: (batch, signal) => enclave.signBatch(batch, signal),
        signAnchor: (signal) => enclave.signAnchor(signal),
        carryOut: (request, signal) => enclave.carryOut(request, signal),
        answer: async (request, signal) => {
          const answer = await enclave.answer(request, signal);
          body = answer.body;
          return answer;
        },
      }),
    });
    await bring(userKey);
    expect(await requestedFor(userKey, handle.handle)).toBe(id);
    await eventually(async () => body !== undefined);
    const { url } = killed;
    await eventually(async () => (await fetch(`${url}/shares/${id}/${party}`)).status === 200);
    await killed.stop();
    await eventually(async () => (await eventsOf('UserDecryptionAnswered', id)).length === 1);
    expect(await digestsOf(id)).toBeUndefined();
    // The request is over: its enclave makes no share for it any more.
    await network.startConnector(party);
    await eventually(async () => (await digestsOf(id)) !== undefined);
    const digest = (await digestsOf(id))![party - 1]!;
    expect(digest).toBe(bytesToHex(nodePrimitives.sha256(body!)));
    expect(await eventsOf('UserShareAdded', id)).toHaveLength(1);
    const again = network.connectors[party - 1]!.url;
    const byDigest = await fetch(`${again}/shares/${id}/${party}/${digest.slice(2)}`);
    expect(new Uint8Array(await byDigest.arrayBuffer())).toEqual(body);
    await network.stopAll();
    await network.startAll();
  }, 120_000);

  test('a handle goes to the other chain by the committee’s word', async () => {
    const other = network.enclaves.hosts[1]!;
    const { handle } = await network.input(await known.key.encrypt({ kind: 'scalar', value: 9n }), known.id);
    const { host } = network;
    const grant = [handle, BigInt(other.chain.chainId), application(), true];
    await host.deployer.send({ to: host.accessControl, name: 'allowOn', args: grant });
    const args = [handle, BigInt(host.chain.chainId), BigInt(other.chain.chainId), application(), 600n];
    await reader().send({ to: gateway().decryptions, name: 'requestTransfer', args });
    const { id } = (await lastEvent(reader(), gateway().decryptions, 'HandleTransferRequested')) as {
      readonly id: bigint;
    };
    const factsOf = (): Promise<unknown> =>
      other.deployer.read({ to: other.compute, name: 'facts', args: [handle] });
    await eventually(async () => (await factsOf()) !== 0n);
    expect(await eventsOf('HandleTransferAnswered', id)).toHaveLength(1);
    const access = { to: other.accessControl, name: 'isAllowed', args: [handle, application()] };
    expect(await other.deployer.read(access)).toBe(true);
  }, 120_000);
});

/** An enclave whose answers lack one party's word, as they do where that party is slow. */
function withoutWordOf(party: number, enclave: Enclave): Enclave {
  return {
    party: (signal) => enclave.party(signal),
    signBatch: (batch, signal) => enclave.signBatch(batch, signal),
    signAnchor: (signal) => enclave.signAnchor(signal),
    carryOut: (request, signal) => enclave.carryOut(request, signal),
    async answer(request, signal) {
      const answer = await enclave.answer(request, signal);
      const words = answer.words.filter((one) => one.party !== party);
      if (words.length < 3) throw new KmsError('NOT_ENOUGH_PARTIES', 'the others have not signed yet');
      return { ...answer, words };
    },
  };
}
