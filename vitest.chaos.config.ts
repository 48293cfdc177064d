import { defineConfig } from "vitest/config";

/** Real faults on real processes: one file at a time, since each starts a network and hits it by the clock. */
export default defineConfig({
  test: {
    include: ["test/chaos/**/*.chaos.ts"],
    fileParallelism: false,
    // Of tests that say that they may run beside each other: a stream keeps one core busy.
    maxConcurrency: 2,
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
