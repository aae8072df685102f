import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { NodeCard } from '../../../client/node-admin.ts';
import type { NetworkKey } from '../../../client/sdk/network-key.ts';
import { LocalNetwork } from '../../../infra/local/network.ts';
import type { UpOptions } from '../../../infra/local/network-options.ts';
import { type NetworkState, readState } from '../../../infra/local/state.ts';
import { DirectClient } from '../../direct/client.ts';
import { DIRECT_ENTRY } from '../../direct/entry.ts';

/** Long: other work on the machine slows every process down, and nothing here is about speed. */
export const PATIENCE_MS = 120_000;
const POLL_MS = 100;
const ROUND_MS = 3_000;
const OPENING_MS = 10_000;

const value = (number: number) => ({ kind: 'scalar', value: BigInt(number) }) as const;

/** A local network of four nodes that seal at the stand-ins, in a directory of its own, with a client. */
export class SealedNetwork implements AsyncDisposable {
  readonly home: string;
  readonly local: LocalNetwork;
  readonly client: DirectClient;
  #values = 1;

  private constructor(home: string, local: LocalNetwork, client: DirectClient) {
    this.home = home;
    this.local = local;
    this.client = client;
  }

  static async up(options: UpOptions = {}): Promise<SealedNetwork> {
    const home = await mkdtemp(join(tmpdir(), 'kms-sealing-'));
    const stateDirectory = join(home, 'state');
    const local = await LocalNetwork.up({
      stateDirectory,
      entry: DIRECT_ENTRY,
      n: 4,
      t: 1,
      roundMs: ROUND_MS,
      openingMs: OPENING_MS,
      ...options,
    });
    return new SealedNetwork(home, local, await clientOf(local));
  }

  get parties(): readonly number[] {
    return this.local.addresses.map((_, i) => i + 1);
  }

  async state(): Promise<NetworkState> {
    const found = await readState(this.local.directory);
    if (found === undefined) throw new Error('there is no state');
    return found;
  }

  generate(): Promise<NetworkKey> {
    return this.client.generateKey({ preset: 'test-4096', timeoutMs: PATIENCE_MS });
  }

  /** A new ciphertext under that key decrypts right; repeated while nodes come back. @returns who did not answer */
  async decrypts(key: NetworkKey): Promise<readonly number[]> {
    const expected = value(this.#values++);
    const envelope = await key.encrypt(expected);
    const deadlineMs = performance.now() + PATIENCE_MS;
    for (;;) {
      try {
        const decryption = await this.client.decrypt(envelope);
        if (decryption.value.kind !== 'scalar' || decryption.value.value !== expected.value) {
          throw new Error('the decrypted value is wrong');
        }
        return [...decryption.missing];
      } catch (error) {
        if (performance.now() > deadlineMs || !isPassing(error)) throw error;
      }
      await sleep(POLL_MS);
    }
  }

  /** Every node answers, once it has the key and its share: a key exists before the last of them has both. */
  async decryptsByAll(key: NetworkKey): Promise<void> {
    const deadlineMs = performance.now() + PATIENCE_MS;
    for (;;) {
      const missing = await this.decrypts(key);
      if (missing.length === 0) return;
      if (performance.now() > deadlineMs) throw new Error(`nodes ${missing.join(', ')} do not answer`);
      await sleep(POLL_MS);
    }
  }

  /** The key decrypts by the share of that node: with it only 2t + 1 nodes are up. The one that was stopped is back afterwards. */
  async decryptsBy(key: NetworkKey, party: number): Promise<void> {
    const other = this.parties.find((one) => one !== party)!;
    await this.local.stopNode(other);
    await this.decrypts(key);
    await this.local.startNode(other);
    await this.local.connected();
  }

  async kill(...parties: readonly number[]): Promise<void> {
    await Promise.all(parties.map((party) => this.local.stopNode(party, { signal: 'SIGKILL' })));
  }

  async start(...parties: readonly number[]): Promise<void> {
    await Promise.all(parties.map((party) => this.local.startNode(party)));
  }

  async restart(...parties: readonly number[]): Promise<void> {
    await this.kill(...parties);
    await this.start(...parties);
  }

  /** Waits for the node to show that phase. */
  async shows(
    party: number,
    phase: string,
    isIt: (card: NodeCard) => boolean = () => true,
  ): Promise<NodeCard> {
    const deadlineMs = performance.now() + PATIENCE_MS;
    for (;;) {
      const { card } = (await this.local.status())[party - 1]!;
      if (card?.phase === phase && isIt(card)) return card;
      if (performance.now() > deadlineMs) {
        throw new Error(`node ${party} is ${card?.phase ?? 'silent'}, not ${phase}: ${card?.reason}`);
      }
      await sleep(POLL_MS);
    }
  }

  log(party: number, role: 'enclave' | 'parent' = 'enclave'): Promise<string> {
    return readFile(join(this.local.directory, 'logs', `${party}-${role}.log`), 'utf8');
  }

  /** A copy of what those nodes have in S3 now, to be put back later. Nothing is to change meanwhile. */
  async copyBuckets(...parties: readonly number[]): Promise<BucketCopy> {
    const directory = await mkdtemp(join(this.home, 'copy-'));
    for (const party of parties) {
      await cp(await this.local.bucketDirectory(party), join(directory, `${party}`), { recursive: true });
    }
    return { directory, parties };
  }

  /** While nodes of these buckets are down: what the copy holds takes the place of what is there. */
  async putBack({ directory, parties }: BucketCopy): Promise<void> {
    await this.changeBuckets(async () => {
      for (const party of parties) {
        const bucket = await this.local.bucketDirectory(party);
        await rm(bucket, { recursive: true });
        await cp(join(directory, `${party}`), bucket, { recursive: true });
      }
    });
  }

  /** The stand-ins read their directories when they start. */
  async changeBuckets(change: () => Promise<void>): Promise<void> {
    await this.local.stopCloud();
    await change();
    await this.local.startCloud();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.client[Symbol.dispose]();
    await this.local.down({ erase: true });
    await rm(this.home, { recursive: true, force: true });
  }
}

export interface BucketCopy {
  readonly directory: string;
  readonly parties: readonly number[];
}

export async function clientOf(local: LocalNetwork): Promise<DirectClient> {
  return DirectClient.connect({
    genesis: new Uint8Array(await readFile(local.genesisFile)),
    configurations: new Uint8Array(await readFile(local.configurationsFile)),
  });
}

function isPassing(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return ['NOT_ENOUGH_PARTIES', 'UNAVAILABLE', 'TIMEOUT', 'BUSY', 'UNKNOWN_KEY'].includes(String(code));
}
