import { secp256k1 } from '@noble/curves/secp256k1.js';
import { keccak_256 } from '@noble/hashes/sha3.js';
import { type Address, bytesToHex, encodeAbiParameters, type Hex, hexToBytes, keccak256, toHex } from 'viem';
import type { Deployed, LocalAccount } from '../../../infra/local/chains/account.ts';
import type { ChainPlace } from '../../../infra/local/chains/anvil.ts';
import { type LocalChains, startChains } from '../../../infra/local/chains/chains.ts';
import {
  command,
  foundGateway,
  type LocalGateway,
  type ProposedNode,
} from '../../../infra/local/chains/gateway.ts';
import { deployHost, type LocalHost } from '../../../infra/local/chains/host.ts';
import { hashStruct, type TypedDomain, typedDigest } from '../../../shared/gateway/eip712.ts';
import { batchLeaf, merkleRoot } from '../../../shared/gateway/merkle.ts';
import { addressOf, signDigest } from '../../../shared/gateway/signature.ts';
import type { Typed, TypedName } from '../../../shared/gateway/typed-data.ts';
import { concat, utf8 } from '../../../shared/wire/bytes.ts';

/** A network on local chains whose committee is played by test keys: what enclaves will sign is signed here. */

export const T = 1;
const EVERYBODY: Address = '0x0000000000000000000000000000000000000000';

export const secretOf = (name: string): Uint8Array => keccak_256(utf8(name));
export const addressOfSecret = (secret: Uint8Array): Address =>
  bytesToHex(addressOf(secp256k1.getPublicKey(secret, true)));
export const secretsOf = (epoch: number): readonly Uint8Array[] =>
  [1, 2, 3, 4].map((i) => secretOf(`signer ${epoch} ${i}`));
export const word = (hex: Hex): Uint8Array => hexToBytes(hex, { size: 32 });

export interface GatewayRequestArgs {
  readonly id: bigint;
  readonly kind: number;
  readonly hostChainId: bigint;
  readonly verifier: Address;
  readonly consumer: Address;
  readonly reference_: Hex;
  readonly keyId: Hex;
  readonly keyState: number;
  readonly expiresAt: bigint;
  readonly handles: readonly Hex[];
}

/** What was asked of an oracle. */
export interface AskedArgs {
  readonly id: bigint;
  readonly slot: Hex;
  readonly request: { readonly handles: readonly Hex[]; readonly consumer: Address };
}

export interface ComputedArgs {
  readonly handle: Hex;
  readonly provenance: Hex;
  readonly derivation: { readonly level: number; readonly bound: bigint; readonly kind: number };
}

export class PlayedNetwork implements AsyncDisposable {
  readonly chains: LocalChains;
  readonly domain: TypedDomain;
  /** Anybody, with money on the gateway. */
  readonly anybody: LocalAccount;
  hosts: readonly LocalHost[] = [];
  keyId: Hex = keccak256(toHex('key'));
  preset = 2;

  private constructor(chains: LocalChains) {
    this.chains = chains;
    const { gateway } = chains;
    this.domain = {
      gatewayChainId: BigInt(gateway.chain.chainId),
      registry: hexToBytes(gateway.registry.address),
    };
    this.anybody = gateway.operators[3]!;
  }

  get gateway(): LocalGateway {
    return this.chains.gateway;
  }

  /** Founded, with two host chains that know the committee and no key. */
  static async start(): Promise<PlayedNetwork> {
    const network = new PlayedNetwork(await startChains());
    try {
      const { gateway } = network;
      const [id, configuration] = ['network', 'configuration'].map((name) => keccak256(toHex(name)));
      await foundGateway(gateway, id!, configuration!, T, network.nodesOf(0));
      await network.enrolAll(0, 0, 4);
      const first = { epoch: 0n, t: T, signers: secretsOf(0).map(addressOfSecret) };
      const submitter = addressOfSecret(secretOf('submitter'));
      const hosts: LocalHost[] = [];
      for (const chain of network.chains.hosts)
        hosts.push(await deployHost(chain, gateway, first, [submitter]));
      network.hosts = hosts;
      return network;
    } catch (error) {
      await network[Symbol.asyncDispose]();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.chains[Symbol.asyncDispose]();
  }

  signed<Name extends TypedName>(
    name: Name,
    statement: Typed<Name>,
    parties: readonly number[] = [1, 2, 3],
    epoch = 0,
  ): Hex {
    const digest = typedDigest(this.domain, name, statement);
    return bytesToHex(concat(...parties.map((party) => signDigest(digest, secretsOf(epoch)[party - 1]!))));
  }

  nodesOf(epoch: number): readonly ProposedNode[] {
    return secretsOf(epoch).map((secret, i) => ({
      sender: this.gateway.operators[0]!.address,
      signer: addressOfSecret(secret),
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

  async enrolAll(epoch: number, byEpoch: number, parties: number): Promise<void> {
    for (const [i, node] of this.nodesOf(epoch).entries()) {
      const party = i + 1;
      const document = keccak256(toHex('document'));
      const { signer, identity, tlsRoot, measurement } = node;
      const enrolment = { epoch: BigInt(epoch), party, signer, identity, tlsRoot, measurement, document };
      const statement = {
        ...{ epoch: BigInt(epoch), party, signer: hexToBytes(signer), identity: word(identity) },
        ...{ tlsRoot: word(tlsRoot), measurement: word(measurement), document: word(document) },
      };
      const by = Array.from({ length: parties }, (_, j) => j + 1);
      const signatures = this.signed('NodeEnrolment', statement, by, byEpoch);
      await this.anybody.send({ to: this.gateway.registry, name: 'enrol', args: [enrolment, signatures] });
    }
  }

  /** The same, and every host chain is told. */
  async makeKeyEverywhere(recordDigest?: Hex): Promise<void> {
    const { made, moved } = await this.makeKey(recordDigest);
    for (const { deployer, keyring } of this.hosts) {
      await deployer.send({ to: keyring, name: 'add', args: made });
      await deployer.send({ to: keyring, name: 'move', args: moved });
    }
  }

  /**
   * Commanded, generated and activated on the gateway; the nodes respond in two transactions each time.
   * @returns what host chains are told
   */
  async makeKey(
    recordDigest: Hex = keccak256(toHex('record')),
  ): Promise<{ readonly made: readonly unknown[]; readonly moved: readonly unknown[] }> {
    const { keyId, preset } = this;
    const uint8s = [{ type: 'uint8' }, { type: 'uint8' }];
    const asked = await command(this.gateway, 1, encodeAbiParameters(uint8s, [preset, 0]));
    const made = { commandId: BigInt(String(asked.id)), keyId, preset, epoch: 0n, recordDigest };
    const madeTypes = ['uint256', 'bytes32', 'uint8', 'uint64', 'bytes32'].map((type) => ({ type }));
    const typedMade = { ...made, keyId: word(keyId), recordDigest: word(recordDigest) };
    for (const parties of [[1, 2], [4]]) {
      const signatures = this.signed('KeyGeneration', typedMade, parties);
      await this.respond(asked, encodeAbiParameters(madeTypes, Object.values(made)), signatures);
    }
    const move = await command(
      this.gateway,
      5,
      encodeAbiParameters([{ type: 'bytes32' }, { type: 'uint8' }], [keyId, 2]),
    );
    const moved = { commandId: BigInt(String(move.id)), keyId, fromState: 1, toState: 2, epoch: 0n };
    const moveTypes = ['uint256', 'bytes32', 'uint8', 'uint8', 'uint64'].map((type) => ({ type }));
    for (const parties of [[1], [2, 3]]) {
      const signatures = this.signed('LifecycleTransition', { ...moved, keyId: word(keyId) }, parties);
      await this.respond(move, encodeAbiParameters(moveTypes, Object.values(moved)), signatures);
    }
    return {
      made: [made, this.signed('KeyGeneration', typedMade)],
      moved: [moved, this.signed('LifecycleTransition', { ...moved, keyId: word(keyId) })],
    };
  }

  async respond(asked: object, statement: Hex, signatures: Hex): Promise<void> {
    await this.anybody.send({ to: this.gateway.keys, name: 'respond', args: [asked, statement, signatures] });
  }

  /** A handle of an account of a host chain, whose ciphertext has this digest. */
  async input(host: LocalHost, by: LocalAccount, digest: Hex, kind = 1): Promise<ComputedArgs> {
    const args = [by.address, by.address, digest, this.keyId, kind];
    const toSign = await by.read({ to: host.submitters, name: 'inputDigest', args });
    const proof = bytesToHex(signDigest(word(toSign as Hex), secretOf('submitter')));
    await by.send({ to: host.compute, name: 'input', args: [digest, this.keyId, kind, by.address, proof] });
    return lastEvent<ComputedArgs>(by, host.compute, 'Computed');
  }

  /** An account asks for a decryption; its callback, to an account without code, succeeds. */
  async ask(host: LocalHost, by: LocalAccount, handle: Hex): Promise<AskedArgs> {
    await by.send({ to: host.oracle, name: 'request', args: [[handle], '0x01020304', 100_000] });
    return lastEvent<AskedArgs>(by, host.oracle, 'DecryptionRequested');
  }

  /** Two of three coprocessors know the handle and that it is public. */
  async commitPublic(host: LocalHost, computed: ComputedArgs, digest: Hex): Promise<void> {
    const { ciphertexts, coprocessors } = this.gateway;
    const { handle, provenance, derivation } = computed;
    const { level, bound, kind } = derivation;
    const ciphertext = { handle, keyId: this.keyId, digest, kind, level, bound, provenance };
    const hostChainId = BigInt(host.chain.chainId);
    const access = { handle, hostChainId, account: EVERYBODY, version: 1n, allowed: true };
    for (const coprocessor of coprocessors.slice(0, 2)) {
      await coprocessor.send({ to: ciphertexts, name: 'commit', args: [[ciphertext], [access]] });
    }
  }

  statementOf(request: GatewayRequestArgs, result: Hex, epoch = 0n): Typed<'PublicDecryption'> {
    return {
      requestId: request.id,
      destinationChainId: request.hostChainId,
      verifier: hexToBytes(request.verifier),
      consumer: hexToBytes(request.consumer),
      hostRequest: word(request.reference_),
      keyId: word(request.keyId),
      keyState: request.keyState,
      epoch,
      handles: request.handles.map(word),
      result: hexToBytes(result),
    };
  }

  async answer(request: GatewayRequestArgs, result: Hex): Promise<void> {
    const signatures = this.signed('PublicDecryption', this.statementOf(request, result));
    const args = [request, result, 0n, signatures];
    await this.anybody.send({ to: this.gateway.decryptions, name: 'answerPublic', args });
  }

  async answerBatch(answers: readonly (readonly [GatewayRequestArgs, Hex])[]): Promise<void> {
    const leaves = answers.map(([request, result]) =>
      batchLeaf(hashStruct('PublicDecryption', this.statementOf(request, result))),
    );
    const batch = { root: merkleRoot(leaves), count: answers.length, epoch: 0n };
    const signatures = this.signed('ResultBatch', batch);
    const structs = answers.map(([request, result]) => ({ request, result, parties: 0n, shareDigests: [] }));
    const args = [0n, structs, signatures];
    await this.anybody.send({ to: this.gateway.decryptions, name: 'answerBatch', args });
  }

  /** Requests on the gateway, in their order. */
  async requests(): Promise<readonly GatewayRequestArgs[]> {
    const events = await eventsOf<{ readonly request: GatewayRequestArgs }>(
      this.anybody,
      this.gateway.decryptions,
      'PublicDecryptionRequested',
    );
    return events.map(({ request }) => request);
  }
}

export async function eventsOf<Args>(
  by: LocalAccount,
  of: Deployed,
  eventName: string,
): Promise<readonly Args[]> {
  const events = await by.client.getContractEvents({ ...of, eventName, fromBlock: 0n });
  return events.map(({ args }: { readonly args?: unknown }) => args as Args);
}

export async function lastEvent<Args>(by: LocalAccount, of: Deployed, eventName: string): Promise<Args> {
  const last = (await eventsOf<Args>(by, of, eventName)).at(-1);
  if (last === undefined) throw new Error(`no event ${eventName}`);
  return last;
}

/** A method of the chain's endpoint that viem does not know. */
export async function rpc(
  chain: ChainPlace,
  method: string,
  ...params: readonly unknown[]
): Promise<unknown> {
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params });
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(chain.url, { method: 'POST', headers, body });
  const answer = (await response.json()) as {
    readonly result?: unknown;
    readonly error?: { readonly message: string };
  };
  if (answer.error !== undefined) throw new Error(`${method}: ${answer.error.message}`);
  return answer.result;
}
