import { mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ed25519Signer, systemRng } from '../../../enclave/primitives.ts';
import { AllowList } from '../../../parent/allow-list.ts';
import { digest } from '../../../shared/ids.ts';
import { encodeConfigurations } from '../../../shared/network/configuration-file.ts';
import type { SignedConfiguration } from '../../../shared/network/signed-configuration.ts';
import { foundedChain } from '../../simulator/network.ts';

let directory = '';
let file = '';

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kms-allow-'));
  file = join(directory, 'configurations.bin');
});

afterEach(() => rm(directory, { recursive: true, force: true }));

/** Configuration 0 of four members at these ports. */
function configuration(firstPort: number): SignedConfiguration {
  const members = Array.from({ length: 4 }, (_, i) => ({
    identity: ed25519Signer(systemRng(32)).publicKey,
    address: `127.0.0.1:${firstPort + i}`,
  }));
  return foundedChain(members).links[0]!.signed;
}

/** Of the members' storage, which lies in one region here. */
const storage = ['kms.eu-central-1.amazonaws.com:443', 's3.eu-central-1.amazonaws.com:443'];
const addresses = (firstPort: number): string[] => [
  ...[0, 1, 2, 3].map((i) => `127.0.0.1:${firstPort + i}`),
  ...storage,
];

describe('allow-list', () => {
  it('allow-list: no file allows nothing; the members of one allow theirs, and a new file acts at once', async () => {
    const list = new AllowList(file);
    expect(await list.current()).toEqual(new Set());
    await writeFile(file, encodeConfigurations([configuration(7000)]));
    expect(await list.current()).toEqual(new Set(addresses(7000)));
    expect(await list.current()).toBe(await list.current());
    await writeFile(file, encodeConfigurations([configuration(8000)]));
    await utimes(file, new Date(), new Date(Date.now() + 5_000));
    expect(await list.current()).toEqual(new Set(addresses(8000)));
    await rm(file);
    expect(await list.current()).toEqual(new Set());
  });

  it('allow-list: the newest configuration and its predecessor count, older ones do not', async () => {
    const all = [configuration(7000), configuration(8000), configuration(9000)];
    await writeFile(file, encodeConfigurations(all));
    expect(await new AllowList(file).current()).toEqual(new Set([...addresses(8000), ...addresses(9000)]));
  });

  it('allow-list: the endpoints of the gateway chain and of host chains are reached', async () => {
    const { configuration: founded, signatures } = configuration(7000);
    const rpc = (url: string) => ({ k: 1, endpoints: [{ url, spkiPins: [digest('11'.repeat(32))] }] });
    const host = {
      ...{ chainId: 2n, finality: { kind: 'finalized' as const }, maxHeadAgeS: 60 },
      rpc: rpc('https://h.example/path'),
    };
    const asking = { ...founded, rpc: rpc('https://g.example:8443/'), hosts: [host] };
    await writeFile(file, encodeConfigurations([{ configuration: asking, signatures }]));
    expect(await new AllowList(file).current()).toEqual(
      new Set([...addresses(7000), 'g.example:8443', 'h.example:443']),
    );
  });

  it('allow-list: a damaged file allows nothing, over and over', async () => {
    const list = new AllowList(file);
    await writeFile(file, encodeConfigurations([configuration(7000)]));
    await list.current();
    await writeFile(file, 'damaged');
    for (let i = 0; i < 2; i++) {
      await expect(list.current()).rejects.toMatchObject({ code: 'BAD_CONFIGURATION' });
    }
  });
});
