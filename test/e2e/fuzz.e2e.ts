import { writeFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { fuzz } from "../fuzz/fuzz.ts";
import { DevnetProcess, newFolder } from "./devnet-process.ts";

const {
  FUZZ_SECONDS: seconds,
  FUZZ_SEED: seed,
  FUZZ_REPORT: reportPath,
} = z
  .object({
    FUZZ_SECONDS: z.coerce.number().int().min(1).max(36_000).default(30),
    FUZZ_SEED: z.coerce.number().int().min(0).default(1),
    FUZZ_REPORT: z.string().optional(),
  })
  .parse(process.env);
const models = { chat: "smollm2-135m-instruct", embedding: "all-minilm-l6-v2" };

let devnet: DevnetProcess;
beforeAll(async () => {
  devnet = await DevnetProcess.start({ folder: newFolder(), models: Object.values(models), nodes: 2, cache: "shared" });
});
afterAll(() => devnet.remove());

test(`${seconds} s of requests drawn from a seed: no 500, no hang, no crash`, async () => {
  const origin = devnet.baseUrl.replace(/\/v1$/, "");
  const pids = () => devnet.running.nodes.map(({ pid }) => pid);
  const before = { router: devnet.running, nodes: pids() };
  const { requests, statuses, problems } = await fuzz({
    ...{ origin, apiKey: devnet.apiKey, models, seed, forMs: seconds * 1_000, atOnce: 6 },
  });
  const counts = [...statuses].toSorted(([one], [other]) => one - other);
  console.log(
    `fuzz: ${requests} requests of seed ${seed}: ${counts.map(([status, count]) => `${count}× ${status}`).join(", ")}`,
  );
  if (reportPath !== undefined)
    writeFileSync(reportPath, JSON.stringify({ requests, seed, seconds, statuses: counts, problems }));
  expect(problems).toEqual([]);
  expect(statuses.get(200)).toBeGreaterThan(0);
  expect(statuses.get(400)).toBeGreaterThan(0);
  // The same processes answer as before.
  expect({ router: devnet.running, nodes: pids() }).toEqual(before);
  const response = await fetch(`${devnet.baseUrl}/models`, { headers: { authorization: `Bearer ${devnet.apiKey}` } });
  expect(response.status).toBe(200);
}, 36_000_000);
