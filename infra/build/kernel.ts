/**
 * Compiles the arithmetic kernel and writes its bytes as a TypeScript constant. The bytes are part of what
 * the enclave measures: their SHA-256 is pinned in kernel.sha256, and any other result fails the build.
 * Usage: node infra/build/kernel.ts [--update]
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import asc from 'assemblyscript/asc';

const folder = new URL('../../shared/math/kernel/', import.meta.url);
const pin = new URL('kernel.sha256', folder);

const sources = new Map(
  readdirSync(new URL('assembly/', folder))
    .filter((name) => name.endsWith('.ts'))
    .map((name) => [name, readFileSync(new URL(`assembly/${name}`, folder), 'utf8')]),
);
const outputs = new Map<string, Uint8Array | string>();
const { error, stderr } = await asc.main(
  [
    'index.ts',
    ...['--outFile', 'kernel.wasm', '--runtime', 'stub', '--use', 'abort=', '--enable', 'simd', '--noAssert'],
    ...['--optimizeLevel', '3', '--shrinkLevel', '0', '--converge', '--memoryBase', '1024'],
    ...['--initialMemory', '1024', '--maximumMemory', '1024'],
  ],
  {
    readFile: (name) => sources.get(name) ?? null,
    writeFile: (name, content) => {
      outputs.set(name, content);
    },
    listFiles: () => [...sources.keys()],
  },
);
const wasm = outputs.get('kernel.wasm');
if (error !== null || !(wasm instanceof Uint8Array))
  fail(`kernel does not compile: ${error}\n${stderr.toString()}`);

const digest = createHash('sha256').update(wasm).digest('hex');
if (process.argv.includes('--update')) writeFileSync(pin, `${digest}\n`);
const pinned = readFileSync(pin, 'utf8').trim();
if (digest !== pinned) {
  fail(
    `kernel bytes have SHA-256 ${digest},\nbut kernel.sha256 pins ${pinned}.\n` +
      'If the sources changed on purpose, run `npm run kernel -- --update` and review the new pin.',
  );
}
mkdirSync(new URL('generated/', folder), { recursive: true });
writeFileSync(
  new URL('generated/kernel.ts', folder),
  '/** WebAssembly bytes of the arithmetic kernel, base64. */\n' +
    `export const kernelBase64 =\n  '${Buffer.from(wasm).toString('base64')}';\n`,
);
console.log(`kernel: ${wasm.length} bytes, SHA-256 ${digest}`);

function fail(message: string): never {
  console.error(message);
  process.exit(1);
}
