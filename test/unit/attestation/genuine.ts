import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('../../../../shared/data/nitro/', import.meta.url));

/** Documents of real enclaves lie outside the repository; tests that need them are skipped where they are missing. */
export const hasGenuineDocuments: boolean = existsSync(folder);

if (!hasGenuineDocuments) {
  process.stderr.write(
    `\nSKIPPED: genuine attestation documents are missing (${folder}); nothing replaces them\n\n`,
  );
}

/** 2023-09-18, debug mode: PCR0, 1 and 2 are zero; no public key. */
export function genuineDebugDocument(): Uint8Array {
  return new Uint8Array(Buffer.from(readFileSync(`${folder}genuine-a.b64`, 'utf8'), 'base64'));
}

/** 2022-10-13, a signed image: PCR0, 1, 2 and 8. */
export function genuineDocument(): Uint8Array {
  return new Uint8Array(readFileSync(`${folder}genuine-b.cbor`));
}

/** As AWS publishes it. */
export function genuineRootPem(): string {
  return readFileSync(`${folder}aws-nitro-root.pem`, 'utf8');
}
