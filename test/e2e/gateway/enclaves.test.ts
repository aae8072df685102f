import { type Address, bytesToHex, encodeAbiParameters, type Hex, hexToBytes } from 'viem';
import { mnemonicToAccount } from 'viem/accounts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { NetworkKey } from '../../../client/sdk/network-key.ts';
import type { CommandProgress } from '../../../enclave/gateway/command-desk.ts';
import type { GatewayAnswer } from '../../../enclave/gateway/gateway-desk.ts';
import { nodePrimitives, systemRng } from '../../../enclave/primitives.ts';
import { LocalAccount } from '../../../infra/local/chains/account.ts';
import { askChain } from '../../../infra/local/chains/ask-chain.ts';
import { command } from '../../../infra/local/chains/gateway.ts';
import type { LocalHost } from '../../../infra/local/chains/host.ts';
import { openEnvelope } from '../../../shared/fhe/envelope.ts';
import { presetByName } from '../../../shared/fhe/presets.ts';
import { decodeValue, type Value } from '../../../shared/fhe/value.ts';
import type { GatewayCommand, GatewayRequest, OracleRequest } from '../../../shared/gateway/commitments.ts';
import { typedDigest } from '../../../shared/gateway/eip712.ts';
import type { Derivation } from '../../../shared/gateway/handle.ts';
import { presetCode } from '../../../shared/gateway/key-state.ts';
import type { ClaimedCiphertext } from '../../../shared/gateway/policy/ciphertext.ts';
import { decodeResult } from '../../../shared/gateway/result-bytes.ts';
import { signDigest } from '../../../shared/gateway/signature.ts';
import { decodeUserShare } from '../../../shared/gateway/user-share.ts';
import { word } from '../../../shared/gateway/word.ts';
import type { KeyId } from '../../../shared/ids.ts';
import { Kernel } from '../../../shared/math/kernel/kernel.ts';
import { Ring } from '../../../shared/math/ring.ts';
import { committeeOf } from '../../../shared/network/configuration.ts';
import { taskOf } from '../../../shared/protocol/decryption/task.ts';
import { UserDecryption } from '../../../shared/protocol/user-decryption/combine.ts';
import { generateUserKey } from '../../../shared/protocol/user-decryption/hpke.ts';
import { userKeyDigest } from '../../../shared/protocol/user-decryption/sealed-share.ts';
import type { UserKey } from '../../../shared/protocol/user-decryption/user-key.ts';
import { concat } from '../../../shared/wire/bytes.ts';
import type { LiveNode } from '../../adversary/membership/live-nodes.ts';
import { EnclaveNetwork, SUBMITTER } from './enclave-network.ts';
import { bytesOf, lastEvent } from './founded.ts';

/**
 * The service on real chains and real enclaves, in the order in which a network lives: commands make and activate a key, a contract
 * asks, enclaves prove and decrypt, contracts take the answer. Connectors and coprocessors are played by the test.
 */

const PRESET = presetByName('test-4096');
const EVERYBODY: Address = '0x0000000000000000000000000000000000000000';
const never = new AbortController().signal;

let network: EnclaveNetwork;
let host: LocalHost;
let key: NetworkKey;

beforeAll(async () => {
  network = await EnclaveNetwork.start();
  host = network.hosts[0]!;
}, 300_000);

afterAll(async () => {
  await network?.[Symbol.asyncDispose]();
});

const nodes = (): readonly LiveNode[] => network.nodes.all;
const packed = (words: readonly { readonly signature: Uint8Array }[]): Hex =>
  bytesToHex(concat(...words.map(({ signature }) => signature)));

/** Operators ask on chain, all nodes carry it out, the registry counts what they sign. @returns what they said */
async function carryOut(
  kind: number,
  payload: Hex,
): Promise<{ readonly statement: Hex; readonly signatures: Hex }> {
  const asked = await command(network.chains.gateway, kind, payload);
  const request = await network.request({
    kind: 'command',
    contracts: network.contracts,
    command: bytesOf(asked) as GatewayCommand,
  });
  const said = await Promise.all(nodes().map(({ node }) => lastOf(node.carryOut(request, never))));
  const done = said.flatMap((one) => (one?.kind === 'done' ? [one] : []));
  expect(new Set(done.map(({ statement }) => bytesToHex(statement))).size).toBe(1);
  const statement = bytesToHex(done[0]!.statement);
  const signatures = packed(done.slice(0, 3));
  // Each by itself, as each connector posts it.
  for (const { signature } of done) {
    const args = [asked, statement, bytesToHex(signature)];
    await network.relayer.send({ to: network.chains.gateway.keys, name: 'respond', args });
  }
  return { statement, signatures };
}

async function lastOf(steps: AsyncIterable<CommandProgress>): Promise<CommandProgress | undefined> {
  let last: CommandProgress | undefined;
  for await (const step of steps) last = step;
  return last;
}

/** Brings an envelope in on the host chain. */
async function input(envelope: Uint8Array): Promise<ClaimedCiphertext> {
  const { deployer, compute, submitters } = host;
  const by = deployer.address;
  const digest = bytesToHex(nodePrimitives.sha256(envelope));
  const id: Hex = `0x${key.id}`;
  const toSign = await deployer.read({ to: submitters, name: 'inputDigest', args: [by, by, digest, id, 1] });
  const proof = bytesToHex(signDigest(hexToBytes(toSign as Hex), SUBMITTER));
  await deployer.send({ to: compute, name: 'input', args: [digest, id, 1, by, proof] });
  return computed(envelope);
}

async function add(
  a: ClaimedCiphertext,
  b: ClaimedCiphertext,
  envelope: Uint8Array,
): Promise<ClaimedCiphertext> {
  const args = [a, b].map(({ ciphertext }) => bytesToHex(ciphertext.handle));
  await host.deployer.send({ to: host.compute, name: 'add', args });
  return computed(envelope);
}

/** Two of three coprocessors commit the newest handle's envelope. */
async function computed(envelope: Uint8Array): Promise<ClaimedCiphertext> {
  const event = bytesOf(await lastEvent(host.deployer, host.compute, 'Computed')) as {
    readonly handle: Uint8Array;
    readonly provenance: Uint8Array;
    readonly derivation: Omit<Derivation, 'kind'> & { readonly kind: number };
  };
  const { handle, provenance, derivation } = event;
  const { keyId, kind, level, bound } = derivation;
  const digest = nodePrimitives.sha256(envelope);
  const ciphertext = { handle, keyId, digest, kind, level, bound, provenance };
  const said = {
    ...{ handle: bytesToHex(handle), keyId: bytesToHex(keyId), digest: bytesToHex(digest) },
    ...{ kind, level, bound, provenance: bytesToHex(provenance) },
  };
  const { ciphertexts, coprocessors } = network.chains.gateway;
  for (const one of coprocessors.slice(0, 2)) {
    await one.send({ to: ciphertexts, name: 'commit', args: [[said], []] });
  }
  return { ciphertext, derivation: { ...derivation, kind: kind === 1 ? 'scalar' : 'vector' } };
}

interface Asked {
  readonly request: GatewayRequest;
  readonly oracleRequest: OracleRequest;
  readonly onGateway: unknown;
  readonly onHost: unknown;
}

/** A contract asks its chain's oracle, and a relayer brings the request to the gateway. */
async function askPublicly(handle: Uint8Array): Promise<Asked> {
  const { gateway } = network.chains;
  const { deployer, oracle } = host;
  const args = [[bytesToHex(handle)], '0x00000000', 100_000];
  await deployer.send({ to: oracle, name: 'request', args });
  const { request: onHost } = await lastEvent(deployer, oracle, 'DecryptionRequested');
  const oracleRequest = bytesOf(onHost) as OracleRequest;
  const id = await deployer.read({ to: oracle, name: 'requests', args: [oracleRequest.id] });
  const access = {
    ...{ handle: bytesToHex(handle), hostChainId: BigInt(host.chain.chainId), account: EVERYBODY },
    ...{ version: 1n, allowed: true },
  };
  for (const one of gateway.coprocessors.slice(0, 2)) {
    await one.send({ to: gateway.ciphertexts, name: 'commit', args: [[], [access]] });
  }
  const asked = [BigInt(host.chain.chainId), deployer.address, id, [bytesToHex(handle)], 600n];
  await network.relayer.send({ to: gateway.decryptions, name: 'requestPublic', args: asked });
  const { request: onGateway } = await lastEvent(
    network.relayer,
    gateway.decryptions,
    'PublicDecryptionRequested',
  );
  const fields = bytesOf(onGateway) as Omit<GatewayRequest, 'reference'> & {
    readonly reference_: Uint8Array;
  };
  return { request: { ...fields, reference: fields.reference_ }, oracleRequest, onGateway, onHost };
}

describe('enclaves on their gateway', () => {
  test('a key is made and activated by commands', async () => {
    const [first] = nodes();
    const types = (...names: readonly string[]) => names.map((type) => ({ type }));
    const made = await carryOut(1, encodeAbiParameters(types('uint8', 'uint8'), [presetCode(PRESET), 0]));
    const [id] = await first!.node.listKeys();
    const { keys } = network.chains.gateway;
    expect(await network.relayer.read({ to: keys, name: 'keyState', args: [`0x${id}`] })).toBe(1);
    const moved = await carryOut(5, encodeAbiParameters(types('bytes32', 'uint8'), [`0x${id}`, 2]));
    expect(await network.relayer.read({ to: keys, name: 'keyState', args: [`0x${id}`] })).toBe(2);
    for (const { deployer, keyring } of network.hosts) {
      const statementOf = async (name: string, said: typeof made): Promise<void> => {
        const { abi } = keyring;
        const inputs = abi.find((one) => one.type === 'function' && one.name === name);
        if (inputs?.type !== 'function') throw new Error('no such function');
        const { decodeAbiParameters } = await import('viem');
        const [statement] = decodeAbiParameters([inputs.inputs[0]!], said.statement);
        await deployer.send({ to: keyring, name, args: [statement, said.signatures] });
      };
      await statementOf('add', made);
      await statementOf('move', moved);
    }
    key = await openKey(id!);
  }, 120_000);

  test('a contract asks, the enclaves prove it and decrypt, the contract takes their answer', async () => {
    const [a, b] = [
      await key.encrypt({ kind: 'scalar', value: 20n }),
      await key.encrypt({ kind: 'scalar', value: 22n }),
    ];
    using evaluator = await key.evaluator();
    const sum = evaluator.add(a, b);
    const handle = await add(await input(a), await input(b), sum);
    const asked = await askPublicly(handle.ciphertext.handle);
    const request = await network.request({
      kind: 'public',
      ...{ contracts: network.contracts, host: network.hostChains[0]!, request: asked.request },
      ...{ ciphertexts: [handle], oracleRequest: asked.oracleRequest },
    });
    const work = { ...request, envelopes: [sum], userKey: new Uint8Array(0) };
    // Another envelope than the chain has for the handle.
    await expect(nodes()[0]!.node.answer({ ...work, envelopes: [a] }, never)).rejects.toMatchObject({
      code: 'WRONG_KEY',
    });
    const answers = await Promise.all(nodes().map(({ node }) => node.answer(work, never)));
    for (const { body } of answers) {
      expect(decodeResult(body, ['scalar'], PRESET.degree)).toEqual([{ kind: 'scalar', value: 42n }]);
    }
    await deliver(asked, answers[2]!);
    const again = nodes()[0]!.node.answer(
      {
        ...work,
        ...(await network.request({
          kind: 'public',
          ...{ contracts: network.contracts, host: network.hostChains[0]!, request: asked.request },
          ...{ ciphertexts: [handle], oracleRequest: asked.oracleRequest },
        })),
      },
      never,
    );
    await expect(again).rejects.toMatchObject({ code: 'REQUEST_OVER' });
  }, 120_000);
});

describe('enclaves on their gateway: users and other chains', () => {
  test('a wallet’s permit opens a value for its user, who alone sees it', async () => {
    const envelope = await key.encrypt({ kind: 'scalar', value: 77n });
    const handle = await input(envelope);
    const hex = bytesToHex(handle.ciphertext.handle);
    const { gateway } = network.chains;
    for (const account of [user.address, application()]) {
      await host.deployer.send({ to: host.accessControl, name: 'allow', args: [hex, account] });
    }
    await mirror(handle, [user.address, application()]);
    const userKey = await generateUserKey(systemRng);
    const { timestamp } = await network.relayer.client.getBlock();
    const permit = {
      ...{ user: hexToBytes(user.address), delegate: new Uint8Array(20), context: hexToBytes(application()) },
      ...{ publicKeyHash: nodePrimitives.sha256(userKey.publicKey), hostChainId: BigInt(host.chain.chainId) },
      ...{ validFrom: timestamp - 60n, validUntil: timestamp + 3600n, nonce: 0n },
    };
    const domain = {
      gatewayChainId: BigInt(gateway.chain.chainId),
      registry: hexToBytes(gateway.registry.address),
    };
    const signature = await user.sign({
      hash: bytesToHex(typedDigest(domain, 'UserDecryptionRequest', permit)),
    });
    const asked = {
      ...permit,
      ...{ user: user.address, delegate: EVERYBODY, publicKeyHash: bytesToHex(permit.publicKeyHash) },
      context: application(),
    };
    const args = [asked, signature, [hex], 600n];
    await network.relayer.send({ to: gateway.decryptions, name: 'requestUser', args });
    const { request: onGateway } = await lastEvent(
      network.relayer,
      gateway.decryptions,
      'UserDecryptionRequested',
    );
    const request = requestOf(onGateway);
    const made = await network.request({
      kind: 'user',
      ...{
        contracts: network.contracts,
        host: network.hostChains[0]!,
        request,
        ciphertexts: [handle],
        permit,
      },
    });
    const work = { ...made, envelopes: [envelope], userKey: userKey.publicKey };
    const stranger = await generateUserKey(systemRng);
    const foreign = nodes()[0]!.node.answer({ ...work, userKey: stranger.publicKey }, never);
    await expect(foreign).rejects.toMatchObject({ code: 'BAD_INPUT' });
    const answers = await Promise.all(nodes().map(({ node }) => node.answer(work, never)));
    // Asked again, a node gives the share that it has signed.
    const again = await nodes()[1]!.node.answer(work, never);
    expect(again.body).toEqual(answers[1]!.body);
    const { words, epoch } = answers[0]!;
    const parties = words.reduce((set, { party }) => set | (1n << BigInt(party - 1)), 0n);
    const digests = words.map(({ own }) => bytesToHex(own));
    const answer = [onGateway, epoch, parties, digests, packed(words)];
    await network.relayer.send({ to: gateway.decryptions, name: 'answerUser', args: answer });
    for (const [i, { body }] of answers.entries()) {
      const isListed = words.some(({ party }) => party === i + 1);
      const check = [request.id, parties, digests, i + 1, bytesToHex(body)];
      const isVerified = await network.relayer.read({
        to: gateway.decryptions,
        name: 'verifyUserShare',
        args: check,
      });
      expect(isVerified).toBe(isListed);
    }
    expect(await openedBy(userKey, envelope, request, answers)).toEqual({ kind: 'scalar', value: 77n });
    await expect(openedBy(stranger, envelope, request, answers)).rejects.toThrow();
  }, 120_000);

  test('a handle of one chain is admitted on the other by the committee’s word', async () => {
    const other = network.hosts[1]!;
    const handle = await input(await key.encrypt({ kind: 'scalar', value: 5n }));
    const hex = bytesToHex(handle.ciphertext.handle);
    const grant = [hex, BigInt(other.chain.chainId), application(), true];
    await host.deployer.send({ to: host.accessControl, name: 'allowOn', args: grant });
    const { decryptions } = network.chains.gateway;
    const args = [hex, BigInt(host.chain.chainId), BigInt(other.chain.chainId), application(), 600n];
    await network.relayer.send({ to: decryptions, name: 'requestTransfer', args });
    const { request: onGateway } = await lastEvent(network.relayer, decryptions, 'HandleTransferRequested');
    const request = requestOf(onGateway);
    const claim = {
      contracts: network.contracts,
      host: network.hostChains[0]!,
      request,
      ciphertexts: [handle],
    };
    const made = await network.request({ kind: 'transfer', ...claim });
    const work = { ...made, envelopes: [], userKey: new Uint8Array(0) };
    const [answer] = await Promise.all(nodes().map(({ node }) => node.answer(work, never)));
    const { level, bound, kind } = handle.ciphertext;
    const statement = {
      ...{ requestId: request.id, handle: hex, originChainId: request.hostChainId },
      ...{ destinationChainId: BigInt(other.chain.chainId), account: application(), keyId: `0x${key.id}` },
      ...{ kind, level, bound, epoch: answer!.epoch },
    };
    const signatures = packed(answer!.words);
    await network.relayer.send({
      to: decryptions,
      name: 'answerTransfer',
      args: [onGateway, statement, signatures],
    });
    await other.deployer.send({ to: other.compute, name: 'admit', args: [statement, signatures] });
    expect(await lastEvent(other.deployer, other.compute, 'HandleAdmitted')).toMatchObject({ handle: hex });
  }, 120_000);

  test('what the host chain does not grant, no enclave opens', async () => {
    const envelope = await key.encrypt({ kind: 'scalar', value: 9n });
    const handle = await input(envelope);
    const hex = bytesToHex(handle.ciphertext.handle);
    // The coprocessors' majority lies: the gateway takes the request, the enclaves look at the host chain.
    await mirror(handle, [EVERYBODY]);
    const { decryptions } = network.chains.gateway;
    const asked = [BigInt(host.chain.chainId), application(), bytesToHex(new Uint8Array(32)), [hex], 600n];
    await network.relayer.send({ to: decryptions, name: 'requestPublic', args: asked });
    const { request: onGateway } = await lastEvent(network.relayer, decryptions, 'PublicDecryptionRequested');
    const made = await network.request({
      kind: 'public',
      ...{ contracts: network.contracts, host: network.hostChains[0]!, request: requestOf(onGateway) },
      ciphertexts: [handle],
    });
    const work = { ...made, envelopes: [envelope], userKey: new Uint8Array(0) };
    for (const { node } of nodes()) {
      await expect(node.answer(work, never)).rejects.toMatchObject({ code: 'NOT_PERMITTED' });
    }
  }, 120_000);

  test('evidence of a block that the endpoints do not agree on is worth nothing', async () => {
    const envelope = await key.encrypt({ kind: 'scalar', value: 3n });
    const handle = await input(envelope);
    await host.deployer.send({
      to: host.accessControl,
      name: 'publish',
      args: [bytesToHex(handle.ciphertext.handle)],
    });
    await mirror(handle, [EVERYBODY]);
    const { decryptions } = network.chains.gateway;
    const hex = bytesToHex(handle.ciphertext.handle);
    const asked = [BigInt(host.chain.chainId), application(), bytesToHex(new Uint8Array(32)), [hex], 600n];
    await network.relayer.send({ to: decryptions, name: 'requestPublic', args: asked });
    const { request: onGateway } = await lastEvent(network.relayer, decryptions, 'PublicDecryptionRequested');
    const of = { contracts: network.contracts, host: network.hostChains[0]!, request: requestOf(onGateway) };
    const claim = { kind: 'public', ...of, ciphertexts: [handle] } as const;
    for (const { chainId, url } of [network.chains.gateway.chain, host.chain]) {
      const fronts = network.fronts.get(chainId)!;
      // Two of three lie now: nothing is agreed. And nobody has believed the newest block before.
      fronts[2]!.fault = { kind: 'closes' };
      await askChain(url, 'evm_mine');
      const made = await network.request(claim);
      const refused = nodes()[0]!.node.answer(
        { ...made, envelopes: [envelope], userKey: new Uint8Array(0) },
        never,
      );
      await expect(refused).rejects.toMatchObject({ code: expect.stringMatching(/UNAVAILABLE|STALE_HEAD/) });
      fronts[2]!.fault = { kind: 'none' };
    }
    const made = await network.request(claim);
    const work = { ...made, envelopes: [envelope], userKey: new Uint8Array(0) };
    const answers = await Promise.all(nodes().map(({ node }) => node.answer(work, never)));
    expect(decodeResult(answers[0]!.body, ['scalar'], PRESET.degree)).toEqual([
      { kind: 'scalar', value: 3n },
    ]);
  }, 120_000);
});

/** Account 7 of the local chains: a user with a wallet; account 8: an application. */
const user = mnemonicToAccount('test test test test test test test test test test test junk', {
  addressIndex: 7,
});
const application = (): Address => new LocalAccount(host.chain, 8).address;

function requestOf(onGateway: unknown): GatewayRequest {
  const { reference_: reference, ...rest } = bytesOf(onGateway) as Omit<GatewayRequest, 'reference'> & {
    readonly reference_: Uint8Array;
  };
  return { ...rest, reference };
}

/** Two of three coprocessors say that accounts of the host chain may use a handle. */
async function mirror({ ciphertext }: ClaimedCiphertext, accounts: readonly Address[]): Promise<void> {
  const { ciphertexts, coprocessors } = network.chains.gateway;
  const grants = accounts.map((account) => ({
    ...{ handle: bytesToHex(ciphertext.handle), hostChainId: BigInt(host.chain.chainId), account },
    ...{ version: 1n, allowed: true },
  }));
  for (const one of coprocessors.slice(0, 2)) {
    await one.send({ to: ciphertexts, name: 'commit', args: [[], grants] });
  }
}

/** As the user's client does with the shares that it fetched and found on chain. */
async function openedBy(
  { publicKey, privateKey }: UserKey,
  envelope: Uint8Array,
  { id }: GatewayRequest,
  answers: readonly GatewayAnswer[],
): Promise<Value> {
  const parsed = openEnvelope(envelope, nodePrimitives);
  const { preset, kind } = parsed;
  const { configuration } = network.nodes.chain.epochStart.signed;
  const kernel = await Kernel.load();
  const data = new Ring(kernel, preset.degree, preset.dataPrimes);
  const decryption = new UserDecryption({
    scope: {
      ...{ request: word(id), networkId: network.nodes.chain.networkId, key: parsed.keyId },
      ...{ epoch: configuration.epoch, ciphertext: parsed.digest, kind, level: preset.decryptionLevel },
      userKey: userKeyDigest(nodePrimitives, publicKey),
    },
    committee: committeeOf(configuration),
    identities: new Map(configuration.members.map(({ party, identity }) => [party, identity])),
    ...{ privateKey, primitives: nodePrimitives, preset, rng: systemRng },
    ring: data.take(preset.decryptionLevel),
    c0: taskOf(parsed, () => data).c0,
  });
  for (const { body } of answers) for (const share of decodeUserShare(body)) await decryption.add(share);
  const { result } = decryption;
  if (result === undefined) throw new Error('the shares open nothing');
  return decodeValue(kernel, preset, kind, result.plaintext);
}

/** On the gateway, and from there to the contract's chain. */
async function deliver(
  { onGateway, onHost, request }: Asked,
  { body, epoch, words }: GatewayAnswer,
): Promise<void> {
  const { decryptions } = network.chains.gateway;
  const signatures = packed(words);
  const args = [onGateway, bytesToHex(body), epoch, signatures];
  await network.relayer.send({ to: decryptions, name: 'answerPublic', args });
  const { id, hostChainId, verifier, consumer, reference, keyId, keyState, handles } = request;
  const result = {
    ...{ requestId: id, destinationChainId: hostChainId, verifier: bytesToHex(verifier) },
    ...{ consumer: bytesToHex(consumer), hostRequest: bytesToHex(reference), keyId: bytesToHex(keyId) },
    ...{ keyState, epoch, handles: handles.map((handle) => bytesToHex(handle)), result: bytesToHex(body) },
  };
  await host.deployer.send({ to: host.oracle, name: 'deliver', args: [onHost, result, signatures] });
  const { result: kept } = await lastEvent(host.deployer, host.oracle, 'ResultDelivered');
  expect(kept).toBe(bytesToHex(body));
}

async function openKey(id: KeyId): Promise<NetworkKey> {
  const { networkId, epochStart } = network.nodes.chain;
  const { configuration } = epochStart.signed;
  const among = {
    ...{
      networkId,
      configuration: epochStart.digest,
      epoch: configuration.epoch,
      primitives: nodePrimitives,
    },
    committee: committeeOf(configuration),
    identities: new Map(configuration.members.map(({ party, identity }) => [party, identity])),
  };
  return NetworkKey.open(await Kernel.load(), among, id, await nodes()[0]!.node.getKey(id));
}
