import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { storageLayouts } from '../../../infra/build/contracts.ts';
import { evidenceVectors } from './evidence-samples.ts';
import { handleVectors, merkleVectors } from './handle-samples.ts';
import { noiseVectors } from './noise-cases.ts';
import { typedVectors } from './typed-samples.ts';

// Run by hand after a change of format that is meant: node test/vectors/gateway/freeze.ts
const files = {
  'typed-data': typedVectors(),
  noise: noiseVectors(),
  handles: handleVectors(),
  merkle: merkleVectors(),
  evidence: evidenceVectors(),
  storage: storageLayouts(),
};
for (const [name, content] of Object.entries(files)) {
  writeFileSync(join(import.meta.dirname, `${name}.json`), `${JSON.stringify(content, undefined, 1)}\n`);
}
