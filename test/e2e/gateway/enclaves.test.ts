import { type Address, bytesToHex, encodeAbiParameters, type Hex, hexToBytes } from 'viem';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { NetworkKey } from '../../../client/sdk/network-key.ts';
import type { CommandProgress } from '../../../enclave/gateway/command-desk.ts';
import type { GatewayAnswer } from '../../../enclave/gateway/gateway-desk.ts';
import { nodePrimitives } from '../../../enclave/primitives.ts';
import { command } from '../../../infra/local/chains/gateway.ts';
import type { LocalHost } from '../../../infra/local/chains/host.ts';
import { presetByName } from '../../../shared/fhe/presets.ts';
import type { GatewayCommand, GatewayRequest, OracleRequest } from '../../../shared/gateway/commitments.ts';
import type { Derivation } from '../../../shared/gateway/handle.ts';
import { presetCode } from '../../../shared/gateway/key-state.ts';
import type { ClaimedCiphertext } from '../../../shared/gateway/policy/ciphertext.ts';
import { decodeResult } from '../../../shared/gateway/result-bytes.ts';
import { signDigest } from '../../../shared/gateway/signature.ts';
import type { KeyId } from '../../../shared/ids.ts';
import { Kernel } from '../../../shared/math/kernel/kernel.ts';
import { committeeOf } from '../../../shared/network/configuration.ts';
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
  test('a key is made and activated by commands, and by nothing else', async () => {
    const [first] = nodes();
    const direct = first!.node.generateKey(
      { requestId: new Uint8Array(32), preset: PRESET.name, galois: 'none' },
      never,
    );
    await expect(direct[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'NOT_PERMITTED' });
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
    const direct = nodes()[0]!.node.decrypt({ requestId: new Uint8Array(32), envelope: sum }, never);
    await expect(direct).rejects.toMatchObject({ code: 'NOT_PERMITTED' });
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
