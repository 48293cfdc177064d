import { defineConfig } from "vitest/config";

/** Tests that stand beside the code and need no workerd, no model and no other process but their own. */
export default defineConfig({
  test: {
    include: ["{core,db,devnet,docs,edge,worker-node,contracts,bench,test}/**/*.test.ts"],
    exclude: ["**/node_modules/**", "**/*.workerd.test.ts"],
    testTimeout: 30_000,
    maxWorkers: 2,
    hookTimeout: 60_000,
  },
});
