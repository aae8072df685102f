import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli } from '../../../client/cli/cli.ts';
import { Interrupts } from '../../../client/cli/terminal.ts';
import { digest } from '../../../shared/ids.ts';
import { encodeConfigurations } from '../../../shared/network/configuration-file.ts';
import { encodeGenesis } from '../../../shared/network/genesis.ts';
import { decodeSignedConfiguration } from '../../../shared/network/signed-configuration.ts';
import { foundedChain } from '../../simulator/network.ts';

/** `kms net config propose` with chains, on a network with a gateway. */

const directory = mkdtempSync(join(tmpdir(), 'kms-hosts-'));
const file = (name: string): string => join(directory, name);
const endpoint = (name: string) => ({ url: `https://${name}.example/`, spkiPins: ['11'.repeat(32)] });
const host = {
  ...{ chainId: '31338', finality: 'finalized', maxHeadAgeS: 900 },
  rpc: { k: 2, endpoints: ['a', 'b', 'c'].map(endpoint) },
};

beforeAll(() => {
  const members = [1, 2, 3, 4].map((i) => ({
    identity: new Uint8Array(32).fill(i),
    address: `n${i}.example:443`,
  }));
  const chain = foundedChain(members, {
    gateway: {
      ...{ chainId: 31337n, registry: new Uint8Array(20).fill(7), registryCodeHash: digest('33'.repeat(32)) },
      finality: { kind: 'finalized' },
    },
    rpc: { k: 1, endpoints: [{ url: 'https://g.example/', spkiPins: [digest('11'.repeat(32))] }] },
  });
  writeFileSync(file('genesis.bin'), encodeGenesis(chain.genesis));
  writeFileSync(file('configurations.bin'), encodeConfigurations(chain.links.map(({ signed }) => signed)));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

let proposals = 0;

async function propose(...argv: string[]) {
  return proposeAt(['--activate', '50'], ...argv);
}

async function proposeAt(activation: readonly string[], ...argv: string[]) {
  const out = file(`${++proposals}.bin`);
  const where = ['--genesis', file('genesis.bin'), '--config', file('configurations.bin')];
  let [stdout, stderr] = ['', ''];
  const code = await runCli(['net', 'config', 'propose', ...where, ...activation, ...argv, '-o', out], {
    stdout: { write: (text) => (stdout += text) },
    stderr: { write: (text) => (stderr += text) },
    env: { KMS_STATE: directory },
    nowMs: () => 0,
    interrupts: new Interrupts(),
  });
  return { code, stdout, stderr, out };
}

function written(out: string) {
  return decodeSignedConfiguration(new Uint8Array(readFileSync(out))).configuration;
}

describe('net config propose: chains', () => {
  it('net config propose: host chains and the age of heads go into the configuration, and are shown', async () => {
    const second = { ...host, chainId: '31339', finality: 12, maxHeadAgeS: 60 };
    writeFileSync(file('hosts.json'), JSON.stringify([host, second]));
    const { code, stdout, out } = await propose('--hosts', file('hosts.json'), '--head-age', '300');
    expect(code).toBe(0);
    const rpc = {
      k: 2,
      endpoints: ['a', 'b', 'c'].map((name) => ({ ...endpoint(name), spkiPins: [digest('11'.repeat(32))] })),
    };
    expect(written(out)).toMatchObject({
      maxHeadAgeS: 300,
      hosts: [
        { chainId: 31338n, finality: { kind: 'finalized' }, maxHeadAgeS: 900, rpc },
        { chainId: 31339n, finality: { kind: 'depth', blocks: 12 }, maxHeadAgeS: 60, rpc },
      ],
    });
    for (const text of [
      'head         at most 300 s old',
      'host         chain 31338, finalized blocks, head at most 900 s old',
      'host         chain 31339, 12 confirmations, head at most 60 s old',
      '31339  rpc          2 of 3 must agree',
      '+ head         at most 300 s old',
    ]) {
      expect(stdout).toContain(text);
    }
    const json = await propose('--hosts', file('hosts.json'), '--json');
    expect(JSON.parse(json.stdout).configuration.hosts[1]).toMatchObject({
      chainId: '31339',
      maxHeadAgeS: 60,
    });
  });

  it('net config propose: without these options they stay as they were', async () => {
    expect(written((await propose()).out)).toMatchObject({ maxHeadAgeS: 120, hosts: [] });
  });

  it('net config propose: the first block of a network with a gateway has to be said', async () => {
    const { code, stderr } = await proposeAt([]);
    expect([code, stderr]).toEqual([2, expect.stringContaining('--activate is missing')]);
  });

  const bad: Readonly<Record<string, unknown>> = {
    'no list': host,
    'a chain id that is a number': [{ ...host, chainId: 31338 }],
    'chain 0': [{ ...host, chainId: '0' }],
    'the gateway chain': [{ ...host, chainId: '31337' }],
    'no rule of finality': [{ ...host, finality: 'latest' }],
    'no confirmations': [{ ...host, finality: 0 }],
    'no age': [{ ...host, maxHeadAgeS: undefined }],
    'half a second': [{ ...host, maxHeadAgeS: 0.5 }],
    'no endpoints': [{ ...host, rpc: undefined }],
    'a minority': [{ ...host, rpc: { ...host.rpc, k: 1 } }],
    'a chain twice': [host, host],
  };
  for (const [name, hosts] of Object.entries(bad)) {
    it(`net config propose: host chains with ${name} are refused`, async () => {
      writeFileSync(file('bad.json'), JSON.stringify(hosts));
      const { code, stdout } = await propose('--hosts', file('bad.json'));
      expect([3, 5]).toContain(code);
      expect(stdout).toBe('');
    });
  }
});
