import { appendFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { boot } from '../../enclave/boot.ts';
import { systemRng } from '../../enclave/primitives.ts';
import { directRoutes } from '../direct/routes.ts';

/**
 * A mock enclave that tells every secret it draws: seeds, halves, shares' coefficients, everything of 32 bytes or more, as
 * they come from the generator, appended to `told-<party>` beside the network's state directory. It lives with the tests.
 */
const SECRET_BYTES = 32;
const { values } = parseArgs({ options: { config: { type: 'string' } } });
const home = dirname(values.config ?? '');
const party = home.slice(home.lastIndexOf('/') + 1);
const file = join(home, '../../..', `told-${party}`);

await boot({
  furtherRoutes: directRoutes,
  rng(length) {
    const bytes = systemRng(length);
    // Longer draws are told by their beginning, which is as good to search for.
    if (length >= SECRET_BYTES) appendFileSync(file, bytes.subarray(0, SECRET_BYTES), { mode: 0o600 });
    return bytes;
  },
});
