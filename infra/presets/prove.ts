/**
 * Proves every preset: bounds by arithmetic, security level and primes by SEAL, noise by measuring what a
 * hostile user achieves. Prints a table (or `--json`); exits with 1 if any claim is false, with 2 for wrong
 * arguments. Usage: node infra/presets/prove.ts [--json] [preset ...]
 */
import { codeOf } from '../../shared/errors.ts';
import { type Preset, presetByName, presets } from '../../shared/fhe/presets.ts';
import { measuredClaims } from './attack.ts';
import { type Claim, staticClaims, supportedCommittees } from './claims.ts';

async function claimsOf(preset: Preset): Promise<Claim[]> {
  const claims = [...(await staticClaims(preset))];
  for (const of of supportedCommittees) claims.push(...(await measuredClaims(preset, of)));
  return claims;
}

function chosen(names: readonly string[]): readonly Preset[] {
  if (names.length === 0) return presets;
  try {
    return names.map(presetByName);
  } catch (error) {
    console.error(
      `${codeOf(error)}: usage: prove.ts [--json] [${presets.map(({ name }) => name).join(' ')}]`,
    );
    process.exit(2);
  }
}

const asJson = process.argv.includes('--json');
const claims: Claim[] = [];
for (const preset of chosen(process.argv.slice(2).filter((argument) => argument !== '--json'))) {
  claims.push(...(await claimsOf(preset)));
}
const ok = claims.every((claim) => claim.ok);

if (asJson) {
  console.log(JSON.stringify({ ok, claims }, undefined, 2));
} else {
  const width = Math.max(...claims.map(({ claim }) => claim.length));
  for (const { preset, claim, ok: holds, detail } of claims) {
    console.log(`${holds ? 'ok   ' : 'FALSE'} ${preset.padEnd(10)} ${claim.padEnd(width)} ${detail}`);
  }
  console.log(ok ? 'every claim holds' : 'some claim is FALSE');
}
process.exitCode = ok ? 0 : 1;
