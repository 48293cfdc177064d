import { defineConfig } from "vitest/config";

/** The whole network in real processes: one file at a time, since each starts its own and the machine may be small. */
export default defineConfig({
  test: {
    include: ["{test/e2e,test/adversaries,bench}/**/*.e2e.ts"],
    fileParallelism: false,
    testTimeout: 180_000,
    hookTimeout: 600_000,
  },
});
