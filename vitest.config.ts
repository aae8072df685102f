import { defineConfig } from 'vitest/config';

// The whole suite shares two cores: few workers, every test bounded in time.
// biome-ignore lint/style/noDefaultExport: Vitest loads its configuration from the default export.
export default defineConfig({
  test: {
    include: ['test/{unit,property,vectors,adversary,fuzz,e2e}/**/*.test.ts'],
    testTimeout: 120_000,
    // Hooks start whole networks, stand-ins for the cloud included.
    hookTimeout: 180_000,
    // What is waited for comes when two busy cores get to it; a test that must fail within a time says so itself.
    expect: { poll: { timeout: 60_000 } },
    pool: 'forks',
    maxWorkers: 2,
  },
});
