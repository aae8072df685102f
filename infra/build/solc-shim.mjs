#!/usr/bin/env node
// Presents npm's solc (WebAssembly) to forge as a native compiler: --version, and --standard-json on standard input.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { resolve } from 'node:path';

const require = createRequire(import.meta.url);
const { version } = require('solc/package.json');

/** Forge hands over the text of most files; it leaves out what only a library's own files import. */
function readImport(path) {
  try {
    return { contents: readFileSync(resolve(import.meta.dirname, '../../gateway', path), 'utf8') };
  } catch {
    return { error: `${path} is not there` };
  }
}

if (process.argv.includes('--version')) {
  process.stdout.write(
    `solc, the solidity compiler commandline interface\nVersion: ${version}+commit.00000000.Emscripten.clang\n`,
  );
} else {
  const chunks = [];
  for await (const chunk of process.stdin) chunks.push(chunk);
  process.stdout.write(
    require('solc').compile(Buffer.concat(chunks).toString('utf8'), { import: readImport }),
  );
}
