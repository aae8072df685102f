import { defineConfig } from 'vitest/config';

// Machines under emulation, one after the other: patience, and no second try, since nothing here depends on luck.
// biome-ignore lint/style/noDefaultExport: Vitest loads its configuration from the default export.
export default defineConfig({
  test: {
    include: ['test/image/**/*.test.ts'],
    testTimeout: 300_000,
    hookTimeout: 400_000,
    pool: 'forks',
    maxWorkers: 1,
    fileParallelism: false,
  },
});
