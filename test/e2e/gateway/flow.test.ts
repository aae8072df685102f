import { secp256k1 } from '@noble/curves/secp256k1.js';
import { keccak_256 } from '@noble/hashes/sha3.js';
import { type Address, bytesToHex, encodeAbiParameters, type Hex, hexToBytes, keccak256, toHex } from 'viem';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Deployed, LocalAccount } from '../../../infra/local/chains/account.ts';
import { type LocalChains, startChains } from '../../../infra/local/chains/chains.ts';
import {
  command,
  compiled,
  decide,
  foundGateway,
  type ProposedNode,
} from '../../../infra/local/chains/gateway.ts';
import { deployHost, type LocalHost } from '../../../infra/local/chains/host.ts';
import { inputBound } from '../../../shared/fhe/noise.ts';
import { presetByName } from '../../../shared/fhe/presets.ts';
import {
  type CommittedCiphertext,
  ciphertextCommitment,
  commandCommitment,
  type GatewayCommand,
  type GatewayRequest,
  type OracleRequest,
  oracleCommitment,
  requestCommitment,
} from '../../../shared/gateway/commitments.ts';
import { type TypedDomain, typedDigest } from '../../../shared/gateway/eip712.ts';
import { addressOf, signDigest } from '../../../shared/gateway/signature.ts';
import {
  accessSlot,
  mappingSlot,
  readAccess,
  readFacts,
  readKeySlot,
  requestSlot,
  slotNumbers,
} from '../../../shared/gateway/slots.ts';
import type { Typed, TypedName } from '../../../shared/gateway/typed-data.ts';
import { concat, utf8 } from '../../../shared/wire/bytes.ts';

/**
 * The life of a network on real local chains, signed by the TypeScript side alone: founding, a key, a vote on a host
 * chain, its public decryption relayed by others, the callback, and a committee that hands over.
 */

const T = 1;
const KEY = keccak256(toHex('key'));
const PRESET = 2;
const RESULT = hexToBytes('0x0000000000000002');

const secretOf = (name: string): Uint8Array => keccak_256(utf8(name));
const signerOf = (secret: Uint8Array): Address => bytesToHex(addressOf(secp256k1.getPublicKey(secret, true)));
const secretsOf = (epoch: number): readonly Uint8Array[] =>
  [1, 2, 3, 4].map((i) => secretOf(`signer ${epoch} ${i}`));
const word = (hex: Hex): Uint8Array => hexToBytes(hex, { size: 32 });

let chains: LocalChains;
let host: LocalHost;
let domain: TypedDomain;
let relayer: LocalAccount;

/** Packed signatures of the first parties. */
function signed<Name extends TypedName>(
  name: Name,
  statement: Typed<Name>,
  epoch = 0,
  parties = 2 * T + 1,
): Hex {
  const digest = typedDigest(domain, name, statement);
  return bytesToHex(
    concat(
      ...secretsOf(epoch)
        .slice(0, parties)
        .map((secret) => signDigest(digest, secret)),
    ),
  );
}

function nodesOf(epoch: number): readonly ProposedNode[] {
  return secretsOf(epoch).map((secret, i) => ({
    sender: chains.gateway.operators[0]!.address,
    signer: signerOf(secret),
    identity: keccak256(toHex(`identity ${epoch} ${i}`)),
    tlsRoot: keccak256(toHex('tls')),
    epochKey: keccak256(toHex(`epoch key ${epoch} ${i}`)),
    measurement: keccak256(toHex('measurement')),
    endpoint: `node-${i + 1}:443`,
    organisation: `organisation ${i + 1}`,
    cloudAccount: `account ${i + 1}`,
    region: 'region',
  }));
}

async function enrolAll(epoch: number, byEpoch: number, parties: number): Promise<void> {
  for (const [i, node] of nodesOf(epoch).entries()) {
    const party = i + 1;
    const document = keccak256(toHex('document'));
    const { signer, identity, tlsRoot, measurement } = node;
    const statement = {
      epoch: BigInt(epoch),
      party,
      signer: hexToBytes(signer),
      identity: word(identity),
      tlsRoot: word(tlsRoot),
      measurement: word(measurement),
      document: word(document),
    };
    const enrolment = { epoch: BigInt(epoch), party, signer, identity, tlsRoot, measurement, document };
    const signatures = signed('NodeEnrolment', statement, byEpoch, parties);
    await relayer.send({ to: chains.gateway.registry, name: 'enrol', args: [enrolment, signatures] });
  }
}

/** The newest event's arguments. */
async function lastEvent(
  by: LocalAccount,
  of: Deployed,
  eventName: string,
): Promise<Readonly<Record<string, unknown>>> {
  const events = await by.client.getContractEvents({ ...of, eventName, fromBlock: 0n });
  const args: unknown = events.at(-1)?.args;
  if (typeof args !== 'object' || args === null) throw new Error(`no event ${eventName}`);
  return { ...args };
}

beforeAll(async () => {
  chains = await startChains();
  const { gateway } = chains;
  relayer = gateway.operators[3]!;
  domain = { gatewayChainId: BigInt(gateway.chain.chainId), registry: hexToBytes(gateway.registry.address) };
  await foundGateway(gateway, keccak256(toHex('network')), keccak256(toHex('configuration')), T, nodesOf(0));
  await enrolAll(0, 0, 4);
  const first = { epoch: 0n, t: T, signers: secretsOf(0).map(signerOf) };
  host = await deployHost(chains.hosts[0]!, gateway, first, [signerOf(secretOf('submitter'))]);
}, 600_000);

afterAll(async () => {
  await chains?.[Symbol.asyncDispose]();
});

describe('gateway flow', () => {
  test('gateway flow: the domain is the one that the registry computes', async () => {
    const separator = await relayer.read({ to: chains.gateway.registry, name: 'domain' });
    expect(separator).toBe(await host.deployer.read({ to: host.verifier, name: 'domain' }));
    expect(await relayer.read({ to: chains.gateway.registry, name: 'currentEpoch' })).toBe(0n);
  });

  test('gateway flow: a key is commanded, generated, activated, and known to the host', async () => {
    const { gateway } = chains;
    const asked = await command(
      gateway,
      1,
      encodeAbiParameters([{ type: 'uint8' }, { type: 'uint8' }], [PRESET, 0]),
    );
    const recordDigest = keccak256(toHex('record'));
    const made = { commandId: 1n, keyId: KEY, preset: PRESET, epoch: 0n, recordDigest };
    const madeSigned = signed('KeyGeneration', {
      ...made,
      keyId: word(KEY),
      recordDigest: word(recordDigest),
    });
    const types = ['uint256', 'bytes32', 'uint8', 'uint64', 'bytes32'].map((type) => ({ type }));
    const respond = async (asked: object, statement: Hex, signatures: Hex): Promise<unknown> =>
      relayer.send({ to: gateway.keys, name: 'respond', args: [asked, statement, signatures] });
    await respond(asked, encodeAbiParameters(types, Object.values(made)), madeSigned);

    const toState = 2;
    const move = await command(
      gateway,
      5,
      encodeAbiParameters([{ type: 'bytes32' }, { type: 'uint8' }], [KEY, toState]),
    );
    const moved = { commandId: 2n, keyId: KEY, fromState: 1, toState, epoch: 0n };
    const movedSigned = signed('LifecycleTransition', { ...moved, keyId: word(KEY) });
    const moveTypes = ['uint256', 'bytes32', 'uint8', 'uint8', 'uint64'].map((type) => ({ type }));
    await respond(move, encodeAbiParameters(moveTypes, Object.values(moved)), movedSigned);
    expect(await relayer.read({ to: gateway.keys, name: 'keyState', args: [KEY] })).toBe(2);

    await host.deployer.send({ to: host.keyring, name: 'add', args: [made, madeSigned] });
    await host.deployer.send({ to: host.keyring, name: 'move', args: [moved, movedSigned] });
    expect(await host.deployer.read({ to: host.keyring, name: 'keys', args: [KEY] })).toMatchObject({
      state: 2,
    });
  });

  test('gateway flow: a vote is counted by a public decryption that others relay', async () => {
    const { gateway } = chains;
    const { deployer, oracle, verifier } = host;
    const { timestamp } = await deployer.client.getBlock();
    const args = [host.compute.address, oracle.address, KEY, timestamp + 6n];
    const tally = await deployer.deploy(compiled('ConfidentialTally'), args);
    for (const voter of [0, 1, 2]) await vote(tally, voter);
    await expect
      .poll(async () => (await deployer.client.getBlock()).timestamp, { timeout: 30_000 })
      .toBeGreaterThanOrEqual(timestamp + 7n);
    await deployer.send({ to: tally, name: 'close' });
    const { slot, request } = await lastEvent(deployer, oracle, 'DecryptionRequested');

    const computed = await lastEvent(deployer, host.compute, 'Computed');
    const sum = computed.handle;
    expect(await deployer.read({ to: tally, name: 'sum' })).toBe(sum);
    await commit(computed);
    const asked = [BigInt(host.chain.chainId), tally.address, slot, [sum], 600n];
    await relayer.send({ to: gateway.decryptions, name: 'requestPublic', args: asked });
    const requested = await lastEvent(relayer, gateway.decryptions, 'PublicDecryptionRequested');

    const statement: Typed<'PublicDecryption'> = {
      requestId: 1n,
      destinationChainId: BigInt(host.chain.chainId),
      verifier: hexToBytes(verifier.address),
      consumer: hexToBytes(tally.address),
      hostRequest: word(slot as Hex),
      keyId: word(KEY),
      keyState: 2,
      epoch: 0n,
      handles: [word(sum as Hex)],
      result: RESULT,
    };
    const signatures = signed('PublicDecryption', statement);
    const answer = [requested.request, bytesToHex(RESULT), 0n, signatures];
    await relayer.send({ to: gateway.decryptions, name: 'answerPublic', args: answer });
    await expect(
      relayer.send({ to: gateway.decryptions, name: 'answerPublic', args: answer }),
    ).rejects.toThrow('NotOpen');

    const result = {
      ...statement,
      ...{ verifier: verifier.address, consumer: tally.address, hostRequest: slot, keyId: KEY },
      ...{ handles: [sum], result: bytesToHex(RESULT) },
    };
    await deployer.send({ to: oracle, name: 'deliver', args: [request, result, signatures] });
    await deployer.send({ to: oracle, name: 'execute', args: [request], gas: 500_000n });
    expect(await deployer.read({ to: tally, name: 'yes' })).toBe(2n);
  });

  test('gateway flow: the committee hands over on gateway and host', async () => {
    const { gateway } = chains;
    await decide(gateway, gateway.registry, 'proposeEpoch', [1n, T, nodesOf(1)]);
    await enrolAll(1, 0, 3);
    const payloadTypes = [
      {
        type: 'tuple',
        components: [
          { type: 'uint64', name: 'toEpoch' },
          { type: 'bytes32[]', name: 'keys' },
        ],
      },
    ] as const;
    const asked = await command(
      gateway,
      4,
      encodeAbiParameters(payloadTypes, [{ toEpoch: 1n, keys: [KEY] }]),
    );
    const keysHash = keccak256(KEY);
    for (const party of [1, 2, 3]) {
      const change = {
        commandId: 3n,
        fromEpoch: 0n,
        toEpoch: 1n,
        party,
        keysHash,
        served: 15n,
        confirmed: true,
      };
      const digest = typedDigest(domain, 'EpochChange', { ...change, keysHash: word(keysHash) });
      const types = ['uint256', 'uint64', 'uint64', 'uint8', 'bytes32', 'uint256', 'bool'].map((type) => ({
        type,
      }));
      const statement = encodeAbiParameters(types, Object.values(change));
      const signature = bytesToHex(signDigest(digest, secretsOf(1)[party - 1]!));
      await relayer.send({ to: gateway.keys, name: 'respond', args: [asked, statement, signature] });
    }
    expect(await relayer.read({ to: gateway.registry, name: 'currentEpoch' })).toBe(1n);
    const signers = secretsOf(1).map(signerOf);
    const change = { fromEpoch: 0n, toEpoch: 1n, t: T, graceSeconds: 600n };
    const signatures = signed('CommitteeChange', {
      ...change,
      signers: signers.map((signer) => hexToBytes(signer)),
    });
    await host.deployer.send({
      to: host.verifier,
      name: 'changeCommittee',
      args: [{ ...change, signers }, signatures],
    });
    expect(await host.deployer.read({ to: host.verifier, name: 'currentEpoch' })).toBe(1n);
  });

  test('gateway flow: what an enclave must know is provable, and is what the events say', async () => {
    const { decryptions, ciphertexts, keys } = chains.gateway;
    const { deployer, oracle, accessControl, compute } = host;
    const onGateway = (of: Deployed, slot: Uint8Array): Promise<bigint> => proven(relayer, of, slot);
    const onHost = (of: Deployed, slot: Uint8Array): Promise<bigint> => proven(deployer, of, slot);
    const number = (commitment: Uint8Array): bigint => BigInt(bytesToHex(commitment));

    const { request } = await lastEvent(relayer, decryptions, 'PublicDecryptionRequested');
    const r = bytesOf(request) as GatewayRequest & { readonly reference_: Uint8Array };
    const commitment = requestCommitment({ ...r, reference: r.reference_ });
    expect(await onGateway(decryptions, requestSlot(1n))).toBe(number(commitment));
    const other = requestCommitment({ ...r, reference: r.reference_, keyState: r.keyState + 1 });
    expect(number(other)).not.toBe(number(commitment));

    const handle = r.handles[0]!;
    const { ciphertext } = await lastEvent(relayer, ciphertexts, 'CiphertextCommitted');
    expect(await onGateway(ciphertexts, mappingSlot(slotNumbers.Ciphertexts.commitments, handle))).toBe(
      number(ciphertextCommitment(bytesOf(ciphertext) as CommittedCiphertext)),
    );
    const commanded = await lastEvent(relayer, keys, 'CommandRequested');
    expect(await onGateway(keys, mappingSlot(slotNumbers.Keys.commands, word(hexOf(commanded.id))))).toBe(
      number(commandCommitment(bytesOf(commanded.command) as GatewayCommand)),
    );
    const keySlot = await onGateway(keys, mappingSlot(slotNumbers.Keys.keySlots, word(KEY)));
    expect(readKeySlot(keySlot)).toEqual({ state: 2, preset: PRESET, epoch: 0n, destroyedBy: 0n });

    const asked = await lastEvent(deployer, oracle, 'DecryptionRequested');
    expect(
      await onHost(oracle, mappingSlot(slotNumbers.DecryptionOracle.requests, word(hexOf(asked.id)))),
    ).toBe(number(oracleCommitment(bytesOf(asked.request) as OracleRequest)));
    const access = async (account: Uint8Array): Promise<object> =>
      readAccess(await onHost(accessControl, accessSlot(handle, account)));
    expect(await access(new Uint8Array(20))).toEqual({ version: 1n, isAllowed: true });
    expect(await access(r.consumer)).toEqual({ version: 1n, isAllowed: true });
    expect(await access(new Uint8Array(20).fill(1))).toEqual({ version: 0n, isAllowed: false });
    const facts = readFacts(await onHost(compute, mappingSlot(slotNumbers.Compute.facts, handle)));
    const input = inputBound(presetByName('bfv-8192'));
    expect(facts).toEqual({ bound: 3n * input.bound + 2n, level: input.level, kind: 1, keyNumber: 1 });
  });
});

const hexOf = (id: unknown): Hex => toHex(BigInt(String(id)), { size: 32 });

/** What an event gives, with every hex string as bytes and enumerations as numbers. */
function bytesOf(value: unknown): unknown {
  if (typeof value === 'string' && value.startsWith('0x')) return hexToBytes(value as Hex);
  if (Array.isArray(value)) return value.map(bytesOf);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, bytesOf(field)]));
}

async function proven(by: LocalAccount, { address }: Deployed, slot: Uint8Array): Promise<bigint> {
  const { storageProof } = await by.client.getProof({ address, storageKeys: [bytesToHex(slot)] });
  return storageProof[0]?.value ?? 0n;
}

async function vote(tally: Deployed, voter: number): Promise<void> {
  const account = chains.gateway.operators[voter]!;
  const { deployer, submitters } = host;
  const digest = keccak256(toHex(`ballot ${voter}`));
  const toSign = await deployer.read({
    to: submitters,
    name: 'inputDigest',
    args: [tally.address, account.address, digest, KEY, 1],
  });
  const proof = bytesToHex(signDigest(word(toSign as Hex), secretOf('submitter')));
  const voting = new LocalAccount(host.chain, voter);
  await voting.send({ to: tally, name: 'vote', args: [digest, proof] });
}

/** Two of three coprocessors saw the sum and that it is public. */
async function commit(computed: Readonly<Record<string, unknown>>): Promise<void> {
  const { ciphertexts, coprocessors } = chains.gateway;
  const { level, bound } = computed.derivation as { readonly level: number; readonly bound: bigint };
  const { handle, provenance } = computed;
  const digest = keccak256(toHex('sum'));
  const ciphertext = { handle, keyId: KEY, digest, kind: 1, level, bound, provenance };
  const account = '0x0000000000000000000000000000000000000000';
  const access = { handle, hostChainId: BigInt(host.chain.chainId), account, version: 1n, allowed: true };
  for (const coprocessor of coprocessors.slice(0, 2)) {
    await coprocessor.send({ to: ciphertexts, name: 'commit', args: [[ciphertext], [access]] });
  }
}
