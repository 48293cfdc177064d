import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { neon } from "@neondatabase/serverless";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { connect } from "../../db/connection.ts";

const root = resolve(import.meta.dirname, "../..");
// The project's own Node, which runs TypeScript; the tests themselves may run on another.
const node = join(root, "node_modules", ".bin", "node");
const started: ChildProcess[] = [];
let directory: string;
/** What the first test leaves running for the second: a start costs most of a second. */
let running: Awaited<ReturnType<typeof start>> | undefined;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "postgres-"));
});
afterAll(async () => {
  for (const child of started) child.kill("SIGKILL");
  await rm(directory, { recursive: true });
});

function launch(...flags: string[]): ChildProcess {
  const child = spawn(node, [join(import.meta.dirname, "main.ts"), ...flags], { stdio: ["pipe", "pipe", "pipe"] });
  started.push(child);
  return child;
}

/** Starts it on the shared directory and gives a query function once it is ready. */
async function start(...flags: string[]) {
  const child = launch("--data", directory, "--password", "secret", ...flags);
  if (child.stdout === null) throw new Error("its output is piped");
  const [line] = await once(createInterface(child.stdout), "line");
  const { port } = z.strictObject({ ready: z.literal(true), port: z.int().positive() }).parse(JSON.parse(line));
  const databaseUrl = `postgres://postgres:secret@127.0.0.1:${port}/postgres`;
  connect({ databaseUrl, fetchEndpoint: `http://127.0.0.1:${port}/sql` });
  return { child, query: neon(databaseUrl) };
}

async function exitOf(child: ChildProcess): Promise<unknown[]> {
  return child.exitCode === null && child.signalCode === null
    ? once(child, "exit")
    : [child.exitCode, child.signalCode];
}

async function textOf(stream: NodeJS.ReadableStream | null): Promise<string> {
  let text = "";
  for await (const chunk of stream ?? []) text += chunk;
  return text;
}

test("what was committed before a kill in the midst of writing is there afterwards, and batches are whole", async () => {
  const { child, query } = await start();
  await query`create table written (batch integer, half integer, filling text)`;
  let begun = 0;
  let committed = 0;
  const filling = "x".repeat(20_000);
  const killed = exitOf(child);
  // Several writers at once, so that the kill finds requests in every stage.
  const write = async (): Promise<void> => {
    for (;;) {
      begun += 1;
      const batch = begun;
      await query.transaction([
        query`insert into written values (${batch}, 1, ${filling})`,
        query`insert into written values (${batch}, 2, ${filling})`,
      ]);
      committed += 1;
      if (committed === 100) child.kill("SIGKILL");
    }
  };
  const writers = await Promise.allSettled([write(), write(), write(), write()]);
  expect(writers.map((writer) => writer.status)).toEqual(["rejected", "rejected", "rejected", "rejected"]);
  expect(await killed).toEqual([null, "SIGKILL"]);

  const again = await start();
  const rows = await again.query`select batch, count(*)::integer as rows from written group by batch`;
  expect(rows.length).toBeGreaterThanOrEqual(committed);
  expect(new Set(rows.map((row) => row.rows))).toEqual(new Set([2]));
  await again.query`insert into written values (-1, 1, 'after')`;
  running = again;
}, 60_000);

test("a second process on the same directory is refused in one sentence, and a stopped one leaves all in order", async () => {
  const first = running ?? (await start());
  expect(await first.query`select batch from written where batch < 0`).toEqual([{ batch: -1 }]);
  const second = launch("--data", directory, "--password", "secret");
  const [complaint, exit] = await Promise.all([textOf(second.stderr), exitOf(second)]);
  expect(complaint).toBe(
    `The data directory ${directory} is in use by process ${first.child.pid}; stop that process or choose another directory.\n`,
  );
  expect(exit).toEqual([1, null]);

  // A stop in the midst of requests: each is either answered and kept, or refused and not kept.
  const asked = Array.from({ length: 50 }, (_, number) => first.query`insert into written values (-2, ${number}, '')`);
  const answers = Promise.allSettled(asked);
  await first.query`select 1`;
  first.child.kill("SIGTERM");
  expect(await exitOf(first.child)).toEqual([0, null]);
  const kept = (await answers).filter((answer) => answer.status === "fulfilled").length;
  expect(await readdir(directory)).toEqual(["pgdata"]);

  const third = await start("--exit-with-parent");
  expect(await third.query`select count(*)::integer as kept from written where batch = -2`).toEqual([{ kept }]);
  third.child.stdin?.end();
  expect(await exitOf(third.child)).toEqual([0, null]);
}, 60_000);
