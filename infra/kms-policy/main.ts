import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { KmsError } from '../../shared/errors.ts';
import { policyFor, readPolicyRequest } from './policy.ts';

/** Prints the key policy for `--measurements <file>`. */
async function main(): Promise<void> {
  const { values } = parseArgs({ options: { measurements: { type: 'string' } } });
  if (values.measurements === undefined) {
    throw new KmsError(
      'BAD_INPUT',
      'usage: infra/kms-policy/main.ts --measurements <file>; see infra/kms-policy/README.md',
    );
  }
  const policy = await policyFor(readPolicyRequest(await readFile(values.measurements, 'utf8')));
  process.stdout.write(`${JSON.stringify(policy, undefined, 2)}\n`);
}

try {
  await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : 'no policy'}\n`);
  process.exit(1);
}
