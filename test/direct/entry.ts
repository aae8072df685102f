import { fileURLToPath } from 'node:url';

/** Entry point for the enclaves of local networks that tests drive without chains. */
export const DIRECT_ENTRY = fileURLToPath(new URL('enclave.ts', import.meta.url));
