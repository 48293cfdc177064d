import { SELF } from "cloudflare:test";
import { expect, test } from "vitest";

test("a router without nodes is healthy", async () => {
  const response = await SELF.fetch("https://router.test/healthz");
  expect(response.status).toBe(200);
  expect(await response.json()).toEqual({ status: "ok", models: [] });
});
