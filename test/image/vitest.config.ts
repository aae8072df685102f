import { defaultServerConditions } from 'vite';
import { defineConfig } from 'vitest/config';

/** Whoever talks to a lab network pins the lab's root. */
const conditions = ['kms-lab', ...defaultServerConditions];

// Machines under emulation, one after the other: patience, and no second try, since nothing here depends on luck.
// biome-ignore lint/style/noDefaultExport: Vitest loads its configuration from the default export.
export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    include: ['test/image/**/*.test.ts'],
    testTimeout: 300_000,
    hookTimeout: 400_000,
    pool: 'forks',
    maxWorkers: 1,
    fileParallelism: false,
  },
});
