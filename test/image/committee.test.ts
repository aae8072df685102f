import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeNode, type NodeCard } from '../../client/node-admin.ts';
import { NodeChannel, type NodePlace } from '../../client/node-channel.ts';
import { trustIn } from '../../client/node-trust.ts';
import { measure } from '../../infra/eif/pcr.ts';
import { MACHINE_PARTY, upLabNetwork } from '../../infra/lab/network.ts';
import { Stage } from '../../infra/local/demo/stage.ts';
import { readNetwork } from '../../infra/local/founding.ts';
import type { LocalNetwork } from '../../infra/local/network.ts';
import { measurementOf, NETWORK_PCR, networkPcr } from '../../shared/attestation/pcr.ts';
import { ROOTS as awsRoots } from '../../shared/attestation/roots/aws.ts';
import { ROOTS as mockRoots } from '../../shared/attestation/roots/mock.ts';
import { KmsError } from '../../shared/errors.ts';
import { toHex } from '../../shared/wire/bytes.ts';
import { builtImage } from './variants.ts';

let directory = '';
let network: LocalNetwork;
let stage: Stage;

/** A software node; without it every decryption needs the machine's answer. */
const OTHER = 4;
const READY_MS = 240_000;

const machinePlace = (): NodePlace => {
  return { identity: undefined, addresses: [network.addresses[MACHINE_PARTY - 1]!] };
};

/** The machine's card, when it has become what it should be. */
async function machineCard(isGood: (card: NodeCard) => boolean, isJoined = true): Promise<NodeCard> {
  const deadlineMs = performance.now() + READY_MS;
  for (;;) {
    const asked = describeNode(machinePlace(), isJoined ? network.networkId : undefined);
    const card = await asked.catch(() => undefined);
    if (card !== undefined && isGood(card)) return card;
    if (performance.now() > deadlineMs) throw new KmsError('TIMEOUT', 'the machine is not ready');
    await sleep(200);
  }
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kms-lab-'));
  network = await upLabNetwork({ stateDirectory: directory, n: 4, t: 1 });
  stage = await Stage.open(network, { timeoutMs: READY_MS });
});

afterAll(async () => {
  stage?.[Symbol.dispose]();
  await network?.down({ erase: true });
  await rm(directory, { recursive: true, force: true });
});

describe('a committee with the real image', () => {
  it('image: the guest’s registers are those of the file, and the network’s is bound', async () => {
    const { node } = await machineCard(() => true);
    const { pcrs } = node.document;
    const measured = measure(builtImage('lab'));
    expect(toHex(measurementOf(pcrs).pcr0)).toBe(toHex(measured.pcr0));
    expect(toHex(measurementOf(pcrs).pcr1)).toBe(toHex(measured.pcr1));
    expect(toHex(measurementOf(pcrs).pcr2)).toBe(toHex(measured.pcr2));
    expect(toHex(pcrs.get(NETWORK_PCR)!)).toBe(toHex(await networkPcr(network.networkId!)));
  });

  it('image: its documents pass the verifier of production builds under the lab’s root alone', async () => {
    const trust = trustIn(await readNetwork(network.directory));
    expect(trust.measurements()).not.toBe('unchecked');
    const open = async (change: Partial<typeof trust>): Promise<void> => {
      const channel = new NodeChannel(machinePlace(), { ...trust, ...change });
      try {
        await channel.client();
      } finally {
        channel.close();
      }
    };
    await open({});
    for (const roots of [awsRoots, mockRoots]) {
      await expect(open({ roots })).rejects.toMatchObject({ code: 'BAD_ATTESTATION' });
    }
    const others = [measure(builtImage('production'))];
    await expect(open({ measurements: () => others })).rejects.toMatchObject({ code: 'BAD_ATTESTATION' });
  });

  it('image: the machine takes part in a key generation and holds its share', async () => {
    await stage.makeKey('test-4096');
    const deadlineMs = performance.now() + READY_MS;
    for (;;) {
      const machine = (await stage.kms.status()).find(({ party }) => party === MACHINE_PARTY);
      if (machine?.keyCount === 1) break;
      expect(performance.now(), 'the machine got no share in time').toBeLessThan(deadlineMs);
      await sleep(200);
    }
  });

  it('image: a decryption that cannot do without the machine is right', async () => {
    await decryptWithTheMachine(4321n);
  });

  it('image: without the machine the others go on; it unseals what it was and takes part again', async () => {
    const before = toHex((await machineCard(() => true)).identity);
    await network.stopNode(MACHINE_PARTY, { signal: 'SIGKILL' });
    const seven = { kind: 'scalar', value: 7n } as const;
    await stage.expectPublic(await stage.bring(seven), seven, [MACHINE_PARTY]);
    await network.startNode(MACHINE_PARTY);
    const { identity } = await machineCard(({ phase }) => phase === 'ready');
    expect(toHex(identity)).toBe(before);
    await decryptWithTheMachine(99n);
  });
});

/** Another node is down meanwhile: 2t+1 signatures need the machine's. */
async function decryptWithTheMachine(value: bigint): Promise<void> {
  await network.stopNode(OTHER);
  try {
    const known = { kind: 'scalar', value } as const;
    const { agreeing } = await stage.expectPublic(await stage.bring(known), known, [OTHER]);
    expect(agreeing).toContain(MACHINE_PARTY);
  } finally {
    await network.startNode(OTHER);
  }
  await network.connected(undefined, AbortSignal.timeout(READY_MS));
}
