import { setTimeout } from "node:timers/promises";
import { Pool } from "undici";
import { quantilesOf } from "../quantiles.ts";
import { type LoadJob, type LoadResult, loadJobSchema } from "./load-job.ts";
import { answerText } from "./mock-answer.ts";
import { readAnswer } from "./read-answer.ts";

/**
 * One measurement in a process of its own: does the job given as JSON in its first argument and prints the result as
 * one JSON line. Each answer is read whole and compared with what it must be; whatever else comes counts as an error.
 */
const job = loadJobSchema.parse(JSON.parse(process.argv[2] ?? ""));
process.stdin.on("close", () => process.exit(1)).resume();
console.log(JSON.stringify(await run(job)));
process.exit(0);

async function run(job: LoadJob): Promise<LoadResult> {
  const { origin, pathname } = new URL(job.url);
  const pool = new Pool(origin, { connections: job.connections, pipelining: 1, bodyTimeout: 120_000 });
  const call = {
    path: pathname,
    method: "POST" as const,
    headers: { "content-type": "application/json", ...job.headers },
  };
  const expected = answerText(job.pieces);
  let asked = 0;
  let seen = emptyTally();
  let endMs = 0;
  let left = 0;

  const ask = async () => {
    // Every request begins a conversation of its own: a router may send what follows to where its beginning is held.
    asked += 1;
    const text = JSON.stringify({
      model: job.model,
      messages: [{ role: "user", content: `Caller ${process.pid} says for the ${asked}th time: a few words, please.` }],
      max_tokens: job.pieces,
      ...(job.shape === "stream" ? { stream: true } : {}),
    });
    const startedAtMs = performance.now();
    try {
      const { statusCode, body } = await pool.request({ ...call, body: text });
      if (statusCode !== 200) throw new Error(`${statusCode}: ${(await body.text()).slice(0, 300)}`);
      const answer = await readAnswer(body, job.shape);
      if (answer.text !== (job.shape === "echo" ? text : expected))
        throw new Error(`the answer was another one: ${answer.text.slice(0, 300)}`);
      seen.totalMs.push(performance.now() - startedAtMs);
      const [first, ...others] = answer.textAtMs;
      if (first !== undefined) seen.firstTokenMs.push(first - startedAtMs);
      let before = first ?? 0;
      for (const atMs of others) {
        seen.gapMs.push(atMs - before);
        before = atMs;
      }
      seen.events += answer.textAtMs.length;
    } catch (error) {
      seen.errors += 1;
      seen.firstError ??= String(error);
    }
  };
  const caller = async (_: unknown, place: number) => {
    if (job.spreadMs !== undefined) await setTimeout((place * job.spreadMs) / job.connections);
    while (left > 0 && performance.now() < endMs) {
      left -= 1;
      await ask();
    }
  };
  const load = async ({ forMs, requests }: { forMs: number; requests: number }) => {
    seen = emptyTally();
    left = requests;
    endMs = performance.now() + forMs;
    await Promise.all(Array.from({ length: job.connections }, caller));
  };

  await load({ forMs: job.warmUpMs, requests: Number.POSITIVE_INFINITY });
  const warmUp = seen;
  const cpuBefore = process.cpuUsage();
  const startedAtMs = performance.now();
  await load({ forMs: job.forMs, requests: job.requests ?? Number.POSITIVE_INFINITY });
  const seconds = (performance.now() - startedAtMs) / 1_000;
  const cpu = process.cpuUsage(cpuBefore);
  await pool.destroy();
  const requests = seen.totalMs.length;
  return {
    requests,
    warmUpRequests: warmUp.totalMs.length,
    perSecond: requests / seconds,
    errors: warmUp.errors + seen.errors,
    firstError: warmUp.firstError ?? seen.firstError,
    totalMs: quantilesOf(seen.totalMs),
    firstTokenMs: quantilesOf(seen.firstTokenMs),
    gapMs: quantilesOf(seen.gapMs),
    eventsPerStream: requests === 0 ? 0 : seen.events / requests,
    clientCpuMicros: requests === 0 ? 0 : (cpu.user + cpu.system) / requests,
  };
}

interface Tally {
  totalMs: number[];
  firstTokenMs: number[];
  gapMs: number[];
  events: number;
  errors: number;
  firstError: string | null;
}

function emptyTally(): Tally {
  return { totalMs: [], firstTokenMs: [], gapMs: [], events: 0, errors: 0, firstError: null };
}
