import { type Address, bytesToHex, type Hex, hexToBytes, keccak256, toHex as viemHex } from 'viem';
import { mnemonicToAccount } from 'viem/accounts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Deployed, LocalAccount } from '../../../infra/local/chains/account.ts';
import { command } from '../../../infra/local/chains/gateway.ts';
import type { LocalHost } from '../../../infra/local/chains/host.ts';
import { presetByName } from '../../../shared/fhe/presets.ts';
import type { GatewayCommand, GatewayRequest, OracleRequest } from '../../../shared/gateway/commitments.ts';
import { typedDigest } from '../../../shared/gateway/eip712.ts';
import type { GatewayContracts, HostChain, MemberNode } from '../../../shared/gateway/network-commitments.ts';
import type { ClaimedCiphertext } from '../../../shared/gateway/policy/ciphertext.ts';
import { permitCommand } from '../../../shared/gateway/policy/command.ts';
import type { KnownHead, PolicyContext } from '../../../shared/gateway/policy/context.ts';
import {
  evidenceForCommand,
  evidenceForMembers,
  evidenceForPublicDecryption,
  evidenceForTransfer,
  evidenceForUserDecryption,
  type NeededSlots,
} from '../../../shared/gateway/policy/needed-slots.ts';
import { GatewayState, provenMember } from '../../../shared/gateway/policy/network.ts';
import { permitPublicDecryption } from '../../../shared/gateway/policy/public-decryption.ts';
import type { ProvenChains } from '../../../shared/gateway/policy/request.ts';
import { permitTransfer } from '../../../shared/gateway/policy/transfer.ts';
import { permitUserDecryption } from '../../../shared/gateway/policy/user-decryption.ts';
import { assembleEvidence } from '../../../shared/gateway/proof/assemble.ts';
import { decodeEvidence, encodeEvidence } from '../../../shared/gateway/proof/evidence.ts';
import { ProvenChain } from '../../../shared/gateway/proof/proven-chain.ts';
import { headerFromRpc, proofFromRpc } from '../../../shared/gateway/proof/rpc.ts';
import { word } from '../../../shared/gateway/word.ts';
import { digest, keyId } from '../../../shared/ids.ts';
import { toHex } from '../../../shared/wire/bytes.ts';
import { codeRejected, codeThrown } from '../../unit/fhe/fixture.ts';
import {
  addHandles,
  bringInput,
  bytes32,
  bytesOf,
  commit,
  encoded,
  type FoundedNetwork,
  foundNetwork,
  KEY,
  lastEvent,
  members,
  NETWORK,
  signed,
} from './founded.ts';

/**
 * What an enclave permits, from proofs that real chains give of a state that real transactions made. The endpoints of the local
 * chains are asked once for a hash, which the enclave has from k of m.
 */

const EVERYBODY: Address = '0x0000000000000000000000000000000000000000';
const PUBLIC_KEY_HASH = keccak256(viemHex('X-Wing'));

let network: FoundedNetwork;
let host: LocalHost;
let contracts: GatewayContracts;
let hosts: readonly HostChain[];
let first: ClaimedCiphertext;
let sum: ClaimedCiphertext;
/** Account 7 of the local chains: the user with a wallet; account 8: the application it permits. */
const user = mnemonicToAccount('test test test test test test test test test test test junk', {
  addressIndex: 7,
});
let application: Address;

beforeAll(async () => {
  network = await foundNetwork();
  host = network.hosts[0]!;
  application = new LocalAccount(host.chain, 8).address;
  const { gateway } = network.chains;
  const of = async ({ address }: Deployed): Promise<Uint8Array> => {
    const code = await network.relayer.client.getCode({ address });
    return keccak256(code ?? '0x', 'bytes');
  };
  contracts = {
    keys: hexToBytes(gateway.keys.address),
    ciphertexts: hexToBytes(gateway.ciphertexts.address),
    decryptions: hexToBytes(gateway.decryptions.address),
    keysCodeHash: await of(gateway.keys),
    ciphertextsCodeHash: await of(gateway.ciphertexts),
    decryptionsCodeHash: await of(gateway.decryptions),
  };
  const known = network.hosts.map(({ chain }) =>
    network.relayer.read({ to: gateway.registry, name: 'hostChain', args: [BigInt(chain.chainId)] }),
  );
  hosts = (await Promise.all(known)).map((one) => bytesOf(one) as HostChain);
  first = await bringInput(host, 'first');
  sum = await addHandles(host, first, await bringInput(host, 'second'));
  await commit(network, host.chain.chainId, [first, sum], [user.address, application, EVERYBODY]);
}, 600_000);

afterAll(async () => {
  await network?.[Symbol.asyncDispose]();
});

const handles = (...claimed: readonly ClaimedCiphertext[]): readonly Hex[] =>
  claimed.map(({ ciphertext }) => bytesToHex(ciphertext.handle));

/** The evidence of one chain at its newest block, as a connector asks for it and an enclave opens it. */
async function prove(by: LocalAccount, needed: readonly NeededSlots[]): Promise<ProvenChain> {
  const chainId = BigInt(await by.client.getChainId());
  const block = await by.client.request({ method: 'eth_getBlockByNumber', params: ['latest', false] });
  if (block?.number == null || block.hash == null) throw new Error('no block');
  const { number } = block;
  const proofs = needed
    .filter((one) => one.chainId === chainId)
    .map(({ address, slots }) =>
      by.client.request({
        method: 'eth_getProof',
        params: [bytesToHex(address), slots.map((slot) => bytesToHex(slot)), number],
      }),
    );
  const evidence = assembleEvidence(
    chainId,
    headerFromRpc(block),
    (await Promise.all(proofs)).map(proofFromRpc),
  );
  const [decoded] = decodeEvidence(encodeEvidence([evidence]));
  return ProvenChain.open(decoded!, { chainId, hash: hexToBytes(block.hash) });
}

async function proveBoth(needed: readonly NeededSlots[], on = host): Promise<ProvenChains> {
  return { gateway: await prove(network.relayer, needed), host: await prove(on.deployer, needed) };
}

function contextAt(...chains: readonly ProvenChain[]): PolicyContext {
  const heads = new Map<bigint, KnownHead>();
  for (const { chainId, header } of chains) heads.set(chainId, { newest: header.number, accepted: 0n });
  const { registry, chain, registryCodeHash } = network.chains.gateway;
  return {
    networkId: digest(NETWORK.slice(2)),
    gateway: {
      chainId: BigInt(chain.chainId),
      registry: hexToBytes(registry.address),
      registryCodeHash: hexToBytes(registryCodeHash),
      confirmations: 1n,
    },
    epoch: 0n,
    keys: new Map([[keyId(KEY.slice(2)), { preset: presetByName('bfv-8192'), state: 2 }]]),
    nowS: chains[0]!.header.timestamp,
    maxHeadAgeS: 60n,
    heads,
  };
}

const where = () => ({
  chainId: BigInt(network.chains.gateway.chain.chainId),
  registry: hexToBytes(network.chains.gateway.registry.address),
});

async function requested(eventName: string): Promise<GatewayRequest> {
  const { request } = await lastEvent(network.relayer, network.chains.gateway.decryptions, eventName);
  const { reference_, ...fields } = bytesOf(request) as GatewayRequest & { readonly reference_: Uint8Array };
  return { ...fields, reference: reference_ };
}

async function askedOfOracle(...claimed: readonly ClaimedCiphertext[]): Promise<OracleRequest> {
  const { deployer, oracle } = host;
  await deployer.send({ to: oracle, name: 'request', args: [handles(...claimed), '0x01020304', 100_000] });
  return bytesOf((await lastEvent(deployer, oracle, 'DecryptionRequested')).request) as OracleRequest;
}

describe('policy on real chains', () => {
  test('policy: a public decryption that a contract asked for, until it is answered', async () => {
    const oracleRequest = await askedOfOracle(first, sum);
    const { slot } = await lastEvent(host.deployer, host.oracle, 'DecryptionRequested');
    const { decryptions } = network.chains.gateway;
    const args = [BigInt(host.chain.chainId), host.deployer.address, slot, handles(first, sum), 600n];
    await network.relayer.send({ to: decryptions, name: 'requestPublic', args });
    const request = await requested('PublicDecryptionRequested');
    const claim = { contracts, host: hosts[0]!, request, ciphertexts: [first, sum], oracleRequest };
    const needed = evidenceForPublicDecryption(where(), claim);
    const chains = await proveBoth(needed);
    const context = contextAt(chains.gateway, chains.host);
    const { ciphertexts, statement } = permitPublicDecryption(context, chains, claim);
    expect(ciphertexts.map((one) => one.digest)).toEqual([
      keccak256(viemHex('first')).slice(2),
      keccak256(viemHex('sum')).slice(2),
    ]);
    expect(ciphertexts[1]!.bound).toEqual({ bound: sum.derivation.bound, level: 3 });

    const other = network.hosts[1]!;
    const there = { ...claim, host: hosts[1]! };
    const elsewhere = await proveBoth(evidenceForPublicDecryption(where(), there), other);
    const context2 = contextAt(elsewhere.gateway, elsewhere.host);
    expect(codeThrown(() => permitPublicDecryption(context2, elsewhere, there))).toBe('NOT_PERMITTED');
    const mixed = { gateway: chains.gateway, host: elsewhere.host };
    expect(codeThrown(() => permitPublicDecryption(context, mixed, claim))).toBe('NOT_PROVEN');

    // The statement is what the contract takes, with a result in it.
    const result = hexToBytes('0x05');
    const signatures = signed(network, 'PublicDecryption', { ...statement, result });
    const { request: raw } = await lastEvent(network.relayer, decryptions, 'PublicDecryptionRequested');
    const answer = [raw, bytesToHex(result), 0n, signatures];
    await network.relayer.send({ to: decryptions, name: 'answerPublic', args: answer });
    const later = await proveBoth(needed);
    const now = contextAt(later.gateway, later.host);
    expect(codeThrown(() => permitPublicDecryption(now, later, claim))).toBe('REQUEST_OVER');
  });

  test('policy: a user decryption, until the grant or the permit is taken back', async () => {
    const third = await bringInput(host, 'third');
    await commit(network, host.chain.chainId, [third], [user.address, application]);
    for (const account of [user.address, application]) {
      await host.deployer.send({ to: host.accessControl, name: 'allow', args: [handles(third)[0], account] });
    }
    const permit = {
      user: hexToBytes(user.address),
      delegate: new Uint8Array(20),
      publicKeyHash: hexToBytes(PUBLIC_KEY_HASH),
      hostChainId: BigInt(host.chain.chainId),
      context: hexToBytes(application),
      validFrom: 0n,
      validUntil: 300n * 24n * 3600n,
      nonce: 0n,
    };
    const { timestamp } = await network.relayer.client.getBlock();
    const dated = { ...permit, validFrom: timestamp - 60n, validUntil: timestamp + 3600n };
    const signature = await user.sign({
      hash: bytesToHex(typedDigest(network.domain, 'UserDecryptionRequest', dated)),
    });
    const asked = {
      ...dated,
      ...{ user: user.address, delegate: EVERYBODY, publicKeyHash: PUBLIC_KEY_HASH, context: application },
    };
    const { decryptions } = network.chains.gateway;
    const args = [asked, signature, handles(third), 600n];
    await network.relayer.send({ to: decryptions, name: 'requestUser', args });
    const request = await requested('UserDecryptionRequested');
    const claim = { contracts, host: hosts[0]!, request, ciphertexts: [third], permit: dated };
    const needed = evidenceForUserDecryption(where(), claim);
    const chains = await proveBoth(needed);
    const context = contextAt(chains.gateway, chains.host);
    const { statement, blocks } = permitUserDecryption(context, chains, claim);
    expect(statement.user).toEqual(hexToBytes(user.address));
    expect(statement.publicKeyHash).toEqual(hexToBytes(PUBLIC_KEY_HASH));

    const byUser = new LocalAccount(network.chains.gateway.chain, 7);
    await byUser.send({ to: decryptions, name: 'revokePermits' });
    const revoked = { gateway: await prove(network.relayer, needed), host: chains.host };
    const afterwards = contextAt(revoked.gateway, revoked.host);
    expect(codeThrown(() => permitUserDecryption(afterwards, revoked, claim))).toBe('NOT_PERMITTED');

    const [handle] = handles(third);
    await host.deployer.send({ to: host.accessControl, name: 'revoke', args: [handle, user.address] });
    const without = { gateway: chains.gateway, host: await prove(host.deployer, needed) };
    const newer = contextAt(without.gateway, without.host);
    expect(codeThrown(() => permitUserDecryption(newer, without, claim))).toBe('NOT_PERMITTED');
    // The older head, which still shows the grant, is below what the node acted on.
    const accepted = new Map(newer.heads);
    const { newest } = newer.heads.get(without.host.chainId)!;
    accepted.set(without.host.chainId, { newest, accepted: newest });
    const stale = { ...newer, heads: accepted };
    expect(blocks.host).toBeLessThan(newest);
    expect(codeThrown(() => permitUserDecryption(stale, chains, claim))).toBe('STALE_HEAD');
  });

  test('policy: a transfer, which the other chain then admits and grants', async () => {
    const other = network.hosts[1]!;
    const [handle] = handles(sum);
    const grant = [handle, BigInt(other.chain.chainId), application, true];
    await host.deployer.send({ to: host.accessControl, name: 'allowOn', args: grant });
    const asked = [handle, BigInt(host.chain.chainId), BigInt(other.chain.chainId), application, 600n];
    const { decryptions } = network.chains.gateway;
    await network.relayer.send({ to: decryptions, name: 'requestTransfer', args: asked });
    const request = await requested('HandleTransferRequested');
    const claim = { contracts, host: hosts[0]!, request, ciphertexts: [sum] };
    const chains = await proveBoth(evidenceForTransfer(where(), claim));
    const context = contextAt(chains.gateway, chains.host);
    const { statement } = permitTransfer(context, chains, claim);

    const signatures = signed(network, 'HandleTransfer', statement);
    const inSolidity = {
      ...statement,
      ...{ handle, account: application, keyId: KEY },
    };
    await other.deployer.send({ to: other.compute, name: 'admit', args: [inSolidity, signatures] });

    // There it is decrypted for everybody: by that chain's word, and with the derivation of the first.
    await new LocalAccount(other.chain, 8).send({ to: other.accessControl, name: 'publish', args: [handle] });
    await commit(network, other.chain.chainId, [sum], [EVERYBODY]);
    const publicly = [
      BigInt(other.chain.chainId),
      application,
      bytesToHex(new Uint8Array(32)),
      [handle],
      600n,
    ];
    await network.relayer.send({ to: decryptions, name: 'requestPublic', args: publicly });
    const there = {
      contracts,
      host: hosts[1]!,
      request: await requested('PublicDecryptionRequested'),
      ciphertexts: [sum],
    };
    const both = await proveBoth(evidenceForPublicDecryption(where(), there), other);
    const permission = permitPublicDecryption(contextAt(both.gateway, both.host), both, there);
    expect(permission.statement.destinationChainId).toBe(BigInt(other.chain.chainId));

    await host.deployer.send({ to: host.accessControl, name: 'allowOn', args: grant.with(3, false) });
    const revoked = await proveBoth(evidenceForTransfer(where(), claim));
    const now = contextAt(revoked.gateway, revoked.host);
    expect(codeThrown(() => permitTransfer(now, revoked, claim))).toBe('NOT_PERMITTED');
  });

  test('policy: a command, until it is carried out; paused or not', async () => {
    const { gateway } = network.chains;
    const raw = await command(gateway, 5, encoded(['bytes32', 'uint8'], [KEY, 3]));
    const claim = { contracts, command: bytesOf(raw) as GatewayCommand };
    const needed = evidenceForCommand(where(), claim);
    for (const operator of gateway.operators.slice(0, 3))
      await operator.send({ to: gateway.registry, name: 'pause' });
    const chain = await prove(network.relayer, needed);
    const { operation } = permitCommand(contextAt(chain), chain, claim);
    if (operation.kind !== 'lifecycle') throw new Error('another operation');
    expect(operation.statement).toEqual({
      commandId: claim.command.id,
      keyId: bytes32(KEY),
      fromState: 2,
      toState: 3,
      epoch: 0n,
    });
    const values = Object.values({ ...operation.statement, keyId: KEY });
    const statement = encoded(['uint256', 'bytes32', 'uint8', 'uint8', 'uint64'], values);
    const signatures = signed(network, 'LifecycleTransition', operation.statement);
    await network.relayer.send({ to: gateway.keys, name: 'respond', args: [raw, statement, signatures] });
    const later = await prove(network.relayer, needed);
    expect(codeThrown(() => permitCommand(contextAt(later), later, claim))).toBe('REQUEST_OVER');
  });

  test('policy: the members whose signatures count', async () => {
    const parties = [1, 2, 3, 4];
    const chain = await prove(network.relayer, evidenceForMembers(where(), 0n, parties));
    const state = GatewayState.prove(contextAt(chain), chain, contracts);
    const sender = hexToBytes(network.chains.gateway.operators[0]!.address);
    for (const [i, member] of members.entries()) {
      const { endpoint, organisation, cloudAccount, region } = member;
      const texts = { endpoint, organisation, cloudAccount, region };
      const node: MemberNode = { ...(bytesOf(member) as MemberNode), ...texts, sender };
      expect(provenMember(state, 0n, i + 1, node)).toBe(node);
    }
    expect(toHex(chain.codeHash(where().registry))).toBe(network.chains.gateway.registryCodeHash.slice(2));
  });

  test('policy: words are what the chain says of its storage, zeros included', async () => {
    const { gateway } = network.chains;
    const plain = Array.from({ length: 30 }, (_, i) => word(BigInt(i)));
    const needed = [gateway.registry, gateway.keys, gateway.decryptions].map(({ address }) => ({
      chainId: where().chainId,
      address: hexToBytes(address),
      slots: plain,
    }));
    const chain = await prove(network.relayer, needed);
    const { number } = chain.header;
    const words: bigint[] = [];
    for (const { address } of needed) {
      for (const slot of plain) {
        const at = { address: bytesToHex(address), slot: bytesToHex(slot), blockNumber: number };
        const stored = BigInt((await network.relayer.client.getStorageAt(at)) ?? '0x0');
        words.push(stored);
        expect(chain.word(address, chain.codeHash(address), slot)).toBe(stored);
      }
    }
    expect(words.filter((value) => value !== 0n).length).toBeGreaterThan(5);
  });

  test('policy: what no proof was asked for is not proven, and neither is an account that is nobody', async () => {
    const nobody = { chainId: where().chainId, address: new Uint8Array(20).fill(0xee), slots: [] };
    expect(await codeRejected(() => prove(network.relayer, [nobody]))).toBe('NOT_PROVEN');
  });
});
