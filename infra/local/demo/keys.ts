import { fileURLToPath } from 'node:url';
import type { NetworkKey } from '../../../client/sdk/network-key.ts';
import { SMALL_PRESET, type Stage } from './stage.ts';

/** Key generations that something goes wrong with; their keys are tried, and deactivated again. */

/** Lives with the tests: the enclave itself has no switch for lying. */
const LIAR_ENTRY = fileURLToPath(new URL('../../../test/faults/keygen-liar-enclave.ts', import.meta.url));
const ENCLAVE_ENTRY = fileURLToPath(new URL('../../../enclave/main.ts', import.meta.url));

/** @param party whose processes are killed before the command, and back afterwards */
export async function generateWithout(stage: Stage, party: number): Promise<string> {
  const { network } = stage;
  await network.stopNode(party, { signal: 'SIGKILL' });
  let key: NetworkKey;
  try {
    key = await stage.makeKey(SMALL_PRESET);
  } finally {
    await network.startNode(party);
    await stage.connected();
  }
  await works(stage, key);
  return `${SMALL_PRESET} key by ${network.n - 1} of ${network.n} nodes while node ${party} is dead; it decrypts`;
}

/** @param party signs wrong shares of everything that is opened */
export async function generateDespite(stage: Stage, party: number): Promise<string> {
  const { network } = stage;
  await network.stopNode(party, { role: 'enclave' });
  await network.startNode(party, { role: 'enclave', entry: LIAR_ENTRY });
  await stage.connected();
  const key = await stage.makeKey(SMALL_PRESET);
  await stage.expectAccused(party);
  await network.stopNode(party, { role: 'enclave' });
  await network.startNode(party, { role: 'enclave', entry: ENCLAVE_ENTRY });
  await stage.connected();
  await works(stage, key);
  return `node ${party} signs wrong shares of the ${SMALL_PRESET} key and is named; the others' key is right and decrypts`;
}

async function works(stage: Stage, key: NetworkKey): Promise<void> {
  const value = { kind: 'scalar', value: 7n } as const;
  await stage.expectPublic(await stage.bring(value, stage.user, key), value);
  await stage.deactivate(key);
}
