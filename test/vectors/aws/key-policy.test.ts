import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { policyFor, readPolicyRequest, rolePcr } from '../../../infra/kms-policy/policy.ts';
import { networkPcr } from '../../../shared/attestation/pcr.ts';
import { digest } from '../../../shared/ids.ts';
import { checkKeyPolicy } from '../../../shared/sealing/policy-inspection.ts';
import { fromHex, toHex } from '../../../shared/wire/bytes.ts';

const text = (name: string): string => readFileSync(join(import.meta.dirname, name), 'utf8');
const request = readPolicyRequest(text('measurements.json'));

/** Keys with this policy exist for ever: nodes must go on to accept it, letter by letter. */
test('key policy vector: the command line prints the frozen policy', async () => {
  const entry = join(import.meta.dirname, '../../../infra/kms-policy/main.ts');
  const file = join(import.meta.dirname, 'measurements.json');
  const { stdout, status } = spawnSync(process.execPath, [entry, '--measurements', file], {
    encoding: 'utf8',
  });
  expect(status).toBe(0);
  // But for spaces.
  expect(JSON.stringify(JSON.parse(stdout))).toBe(JSON.stringify(JSON.parse(text('key-policy.json'))));
  expect(await policyFor(request)).toEqual(JSON.parse(text('key-policy.json')));
});

test('key policy vector: a node with these registers accepts it', async () => {
  const { role, account, pcr0, pcr8 = '', networkId } = request;
  const pcr16 = await networkPcr(digest(networkId));
  const registers = { pcr0: fromHex(pcr0), pcr3: rolePcr(role), pcr8: fromHex(pcr8), pcr16 };
  checkKeyPolicy(text('key-policy.json'), account, { role, registers });
});

test('key policy vector: PCR3 is the hash of the role, as the documentation of AWS computes it', () => {
  // The example of the Nitro Enclaves user guide, "Where to get an enclave's measurements".
  expect(toHex(rolePcr('arn:aws:iam::123456789012:role/Webserver'))).toBe(
    '78fce75db17cd4e0a3fb8dad3ad128ca5e77edbb2b2c7f75329dccd99aa5f6ef4fc1f1a452e315b9e98f9e312e6921e6',
  );
});

test.each<[string, object]>([
  ['an unknown field', { ...request, other: 'x' }],
  ['a missing field', { ...request, pcr0: undefined }],
  ['operators that are no texts', { ...request, operators: [1] }],
  ['a register of zeros', { ...request, pcr0: '00'.repeat(48) }],
  ['a role of another account', { ...request, role: 'arn:aws:iam::999999999999:role/x' }],
])('key policy vector: %s is BAD_INPUT', async (_, value) => {
  const made = async (): Promise<unknown> => policyFor(readPolicyRequest(JSON.stringify(value)));
  await expect(made()).rejects.toMatchObject({ code: 'BAD_INPUT' });
});
