import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { fuzz } from "../fuzz/fuzz.ts";
import { runSchemathesis } from "../fuzz/schemathesis.ts";
import { DevnetProcess, newFolder } from "./devnet-process.ts";
import { ensurePython } from "./python.ts";
import { until } from "./wait.ts";

const {
  FUZZ_SECONDS: seconds,
  FUZZ_SEED: seed,
  FUZZ_REPORT: reportPath,
} = z
  .object({
    FUZZ_SECONDS: z.coerce.number().int().min(2).max(36_000).default(60),
    FUZZ_SEED: z.coerce.number().int().min(0).default(1),
    FUZZ_REPORT: z.string().optional(),
  })
  .parse(process.env);
const models = { chat: "smollm2-135m-instruct", embedding: "all-minilm-l6-v2" };

/** Half of the time is for requests of our own, half for those that schemathesis makes of the router's description. */
const half = Math.round(seconds / 2);
const report: Record<string, unknown> = { seed, seconds };

let devnet: DevnetProcess;
let python: string;
beforeAll(async () => {
  python = ensurePython();
  devnet = await DevnetProcess.start({ folder: newFolder(), models: Object.values(models), nodes: 2, cache: "shared" });
});
afterAll(async () => {
  if (reportPath !== undefined) writeFileSync(reportPath, JSON.stringify(report));
  await devnet.remove();
});

/** Every process of the network that lives now: one that crashed and was started again has another id. */
const pids = () =>
  devnet
    .processes()
    .map(({ pid }) => pid)
    .sort();

/** Runs `action`, after which the same processes must answer as before. */
async function unharmed(action: () => Promise<void>): Promise<void> {
  const before = pids();
  await action();
  expect(pids()).toEqual(before);
  for (const [path, body] of [
    ["chat/completions", { model: models.chat, messages: [{ role: "user", content: "Hello" }], max_tokens: 2 }],
    ["embeddings", { model: models.embedding, input: "hello" }],
  ] as const) {
    const response = await fetch(`${devnet.baseUrl}/${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${devnet.apiKey}`, "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    expect([response.status, await response.text()]).toEqual([200, expect.any(String)]);
  }
}

test(`${half} s of requests drawn from a seed: no 500, no hang, no crash`, async () => {
  await unharmed(async () => {
    const { requests, statuses, problems } = await fuzz({
      ...{ origin: devnet.origin, apiKey: devnet.apiKey, models, seed, forMs: half * 1_000, atOnce: 6 },
    });
    const counts = [...statuses].toSorted(([one], [other]) => one - other);
    console.log(
      `fuzz: ${requests} requests of seed ${seed}: ${counts.map(([status, count]) => `${count}× ${status}`).join(", ")}`,
    );
    report.drawn = { requests, statuses: counts, problems };
    expect(problems).toEqual([]);
    expect(statuses.get(200)).toBeGreaterThan(0);
    expect(statuses.get(400)).toBeGreaterThan(0);
  });
}, 36_000_000);

test(`${half} s of schemathesis on /openapi.json: no 500, no hang, no crash, nothing that is not described`, async () => {
  await unharmed(async () => {
    const { problems, ...counts } = await runSchemathesis({
      ...{ python, origin: devnet.origin, apiKey: devnet.apiKey, models, seed, forSeconds: half },
    });
    console.log(`schemathesis: ${counts.requests} requests to ${counts.tested} of ${counts.operations} operations`);
    report.schemathesis = { ...counts, problems };
    expect(problems).toEqual([]);
    expect(counts.requests).toBeGreaterThan(0);
  });
}, 36_000_000);

test("schemathesis finds a router that fails: the control", async () => {
  const document = {
    ...{ openapi: "3.1.0", info: { title: "failing", version: "1" } },
    paths: { "/v1/models": { get: { responses: { 200: { description: "Done" } } } } },
  };
  const failing = createServer(({ url }, response) => {
    const isDocument = url === "/openapi.json";
    response.writeHead(isDocument ? 200 : 500, { "content-type": "application/json" });
    response.end(isDocument ? JSON.stringify(document) : "{}");
  });
  await new Promise<void>((resolve) => failing.listen(0, "127.0.0.1", resolve));
  const address = failing.address();
  if (address === null || typeof address === "string") throw new Error("the server does not listen");
  const origin = `http://127.0.0.1:${address.port}`;
  const { problems } = await runSchemathesis({ python, origin, apiKey: "none", models, seed, forSeconds: 15 });
  expect(problems.join()).toMatch(/ServerError/);
  await new Promise((resolve) => failing.close(resolve));
}, 60_000);

test("a router that ends is seen: the control", async () => {
  const before = pids();
  process.kill(devnet.processOf("workerd serve").pid, "SIGKILL");
  await until("another is there", () => pids().length === before.length && pids().join() !== before.join());
}, 60_000);
