import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { derivations } from './derivations.ts';
import { frozenForm } from './frozen-form.ts';
import { samples } from './samples.ts';

// Run by hand after a change of format that is meant: node test/vectors/protocol/freeze.ts
const frozen = {
  wire: Object.fromEntries(samples.map(({ name, bytes }) => [name, frozenForm(bytes)])),
  derivations: Object.fromEntries(await derivations()),
};
writeFileSync(join(import.meta.dirname, 'frozen.json'), `${JSON.stringify(frozen, undefined, 2)}\n`);
