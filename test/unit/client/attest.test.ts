import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { runCli } from '../../../client/cli/cli.ts';
import { Interrupts } from '../../../client/cli/terminal.ts';
import { NO_NETWORK } from '../../../shared/attestation/certificate.ts';
import { digest, epochId, partyId } from '../../../shared/ids.ts';
import { type Enrolment, enrolmentCodec, signEnrolment } from '../../../shared/membership/enrolment.ts';
import { encodeConfigurations } from '../../../shared/network/configuration-file.ts';
import { encodeGenesis } from '../../../shared/network/genesis.ts';
import { encode } from '../../../shared/wire/codec.ts';
import { attestedIdentity } from '../../simulator/attested.ts';
import { measurement } from '../../simulator/network.ts';
import { FakeNetwork, fakeApi, signerOf } from './fake-node.ts';

const directory = mkdtempSync(join(tmpdir(), 'kms-attest-'));
let network: FakeNetwork;

beforeAll(async () => {
  network = await FakeNetwork.start();
  const { genesis, links } = network.chain;
  writeFileSync(join(directory, 'genesis.bin'), encodeGenesis(genesis));
  writeFileSync(
    join(directory, 'configurations.bin'),
    encodeConfigurations(links.map(({ signed }) => signed)),
  );
});

beforeEach(() => {
  network.apis = [1, 2, 3, 4].map((party) => describing(party));
});

afterAll(async () => {
  await network.close();
  rmSync(directory, { recursive: true, force: true });
});

function describing(party: number, enrolment?: Uint8Array) {
  const { networkId, chain } = network;
  const joined = {
    ...{ id: networkId, party: partyId(party), epoch: epochId(0) },
    configuration: { number: 0, digest: chain.newest.digest },
  };
  return fakeApi({
    describe: async () => ({
      ...{
        identity: signerOf(party).publicKey,
        network: joined,
        bootKey: new Uint8Array(32),
        connectedPeers: [],
        keyIds: [],
      },
      ...{ phase: 'ready', enrolment },
    }),
  });
}

/** Of party 2, signed by these. */
function enrolment(signers: readonly number[]): Enrolment {
  const statement = {
    epoch: epochId(0),
    party: partyId(2),
    signer: secp256k1.getPublicKey(new Uint8Array(32).fill(1), true),
    identity: signerOf(2).publicKey,
    tlsKey: digest('11'.repeat(32)),
    measurement: measurement(10),
    document: digest('22'.repeat(32)),
  };
  const signatures = signers.map((party) => ({
    party: partyId(party),
    signature: signEnrolment(network.membership(party), statement),
  }));
  return { statement, signatures, contractSignatures: [] };
}

async function attest(...argv: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  let [stdout, stderr] = ['', ''];
  const code = await runCli(['attest', ...argv, '--genesis', join(directory, 'genesis.bin')], {
    stdout: { write: (text) => (stdout += text) },
    stderr: { write: (text) => (stderr += text) },
    env: { KMS_STATE: directory },
    nowMs: () => 0,
    interrupts: new Interrupts(),
  });
  return { code, stdout, stderr };
}

const registers = {
  HashAlgorithm: 'Sha384 { ... }',
  PCR0: '0a'.repeat(48),
  PCR1: '0b'.repeat(48),
  PCR2: '0c'.repeat(48),
};

describe('kms attest', () => {
  it('attest: verifies every node and prints its measurement as nitro-cli does', async () => {
    const { code, stdout } = await attest();
    expect(code).toBe(0);
    expect(stdout.match(/attested, ready, image allowed/g)).toHaveLength(4);
    expect(stdout).toContain(JSON.stringify({ Measurements: registers }, undefined, 2));
  });

  it('attest: one node, by party or by address, as JSON', async () => {
    const { address } = network.chain.newest.signed.configuration.members[1]!;
    for (const whom of ['2', address]) {
      const { code, stdout } = await attest(whom, '--json');
      const { nodes } = JSON.parse(stdout);
      expect([code, nodes.length]).toEqual([0, 1]);
      expect(nodes[0]).toMatchObject({ party: 2, allowed: true, Measurements: registers });
    }
    expect((await attest('5')).code).toBe(2);
  });

  it('attest: an image that the network does not allow is shown, and refused', async () => {
    const foreign = await attestedIdentity(signerOf(3), network.networkId, { measurement: measurement(20) });
    network.show(3, foreign);
    const { code, stdout, stderr } = await attest('3');
    expect([code, stdout]).toEqual([5, '']);
    expect(stderr).toContain('NOT ALLOWED');
    expect(stderr).toContain(`"PCR0": "${'14'.repeat(48)}"`);
    await network.present(3, signerOf(3), network.networkId);
    expect((await attest('3')).code).toBe(0);
  });

  it('attest: whoever is asked about a network must be bound to it, be a member and say so', async () => {
    const { address } = network.chain.newest.signed.configuration.members[2]!;
    const foreign = { measurement: measurement(20) };
    // A genuine enclave of any image that joined nothing, with the words of a member.
    network.show(3, await attestedIdentity(signerOf(3), NO_NETWORK, foreign));
    for (const whom of ['3', address]) expect((await attest(whom)).code).toBe(5);
    // One of another image that is bound to the network and says that it is in none.
    network.show(3, await attestedIdentity(signerOf(3), network.networkId, foreign));
    network.apis[2] = fakeApi({
      describe: async () => ({
        ...{
          identity: signerOf(3).publicKey,
          network: undefined,
          bootKey: new Uint8Array(32),
          connectedPeers: [],
          keyIds: [],
        },
        phase: 'ready',
      }),
    });
    expect((await attest('3')).stderr).toContain('contradicts its certificate');
    // One of the right image with an identity of its own.
    network.apis[2] = fakeApi({
      describe: async () => ({ ...(await describing(3).describe()), identity: signerOf(9).publicKey }),
    });
    await network.present(3, signerOf(9), network.networkId);
    const stranger = await attest(address);
    expect([stranger.code, stranger.stderr]).toEqual([5, expect.stringContaining('none of its members')]);
    await network.present(3, signerOf(3), network.networkId);
  });

  it('attest: the enrolment of a signer is verified, a false one is refused', async () => {
    network.apis[1] = describing(2, encode(enrolmentCodec, enrolment([1, 3, 4])));
    const { stdout } = await attest('2', '--json');
    expect(JSON.parse(stdout).nodes[0].enrolledBy).toEqual([1, 3, 4]);
    const bad = [encode(enrolmentCodec, enrolment([1, 3])), new Uint8Array(9)];
    for (const bytes of bad) {
      network.apis[1] = describing(2, bytes);
      expect((await attest('2')).code).toBe(5);
    }
    // Somebody else's.
    network.apis[2] = describing(3, encode(enrolmentCodec, enrolment([1, 3, 4])));
    expect((await attest('3')).code).toBe(5);
  });
});
