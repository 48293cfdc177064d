import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";

/** Tests that run inside workerd, on the real objects with their real storage. */
export default defineConfig({
  plugins: [
    cloudflareTest({
      wrangler: { configPath: "./wrangler.toml" },
      miniflare: {
        bindings: {
          ADMIN_KEY: "admin-key-of-the-workerd-tests",
          DATABASE_URL: "postgres://tests:tests@127.0.0.1:9/tests",
          NEON_FETCH_ENDPOINT: "http://127.0.0.1:9/sql",
        },
      },
    }),
  ],
  test: {
    include: ["edge/**/*.workerd.test.ts", "test/workerd/**/*.workerd.test.ts"],
    testTimeout: 60_000,
    maxWorkers: 2,
    // An object may log after its test is over; sent through the runner, such a line fails the run.
    disableConsoleIntercept: true,
    // An object's timer may also ring while the runner is taking its module loader down. That is the runner's end, not
    // a fault of any test; every other unhandled error still fails the run.
    onUnhandledError: (error) => error.name !== "EnvironmentTeardownError",
  },
});
