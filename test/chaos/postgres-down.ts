import { expect, test } from "vitest";
import { writeReport } from "./chaos-report.ts";
import type { ChaosNetwork } from "./network.ts";
import { settings } from "./settings.ts";
import type { Received } from "./stream-reader.ts";

/** Clients that ask one short question after the other. */
const clients = 2;
/** A failed batch is sent again after at most 30 s. */
const arriveWithinMs = 60_000;

/** Postgres killed under load and started again after a while. */
export function describePostgresDown(getNetwork: () => ChaosNetwork): void {
  const { postgresDownMs } = settings;

  test(`Postgres down for ${postgresDownMs / 1_000} s under load: nothing fails, and all rows arrive afterwards, once`, {
    timeout: postgresDownMs + 180_000,
  }, async () => {
    const network = getNetwork();
    const consumer = await network.newConsumer("Postgres down");
    const answers: Received[] = [];
    let isOver = false;
    const client = async () => {
      while (!isOver) {
        const prompt = `What is ${answers.length} plus ${answers.length}?`;
        answers.push(await consumer.stream({ prompt, maxTokens: 16 }).done);
      }
    };
    const load = Promise.all(Array.from({ length: clients }, client));
    await network.stopPostgres();
    await new Promise((resolve) => setTimeout(resolve, postgresDownMs));
    const whileDown = answers.length;
    await network.startPostgres();
    isOver = true;
    await load;

    expect(whileDown).toBeGreaterThan(clients);
    expect(answers.filter(({ error, finishReason }) => error !== undefined || finishReason === undefined)).toEqual([]);
    const record = await network.recordOf(consumer, answers.length, arriveWithinMs);
    const ids = answers.map(({ taskId }) => taskId).toSorted();
    for (const rows of [record.tasks, record.attempts, record.usage]) {
      expect(rows.map(({ taskId }) => taskId).toSorted()).toEqual(ids);
    }
    expect(new Set(record.tasks.map(({ state }) => state))).toEqual(new Set(["completed"]));
    for (const { taskId, usage } of answers) {
      for (const rows of [record.tasks, record.usage]) {
        expect(rows.find((row) => row.taskId === taskId)).toMatchObject({ ...usage });
      }
    }
    console.log(
      `Postgres down for ${postgresDownMs / 1_000} s: ${answers.length} streams, ${whileDown} ended meanwhile`,
    );
    writeReport("postgres", { downMs: postgresDownMs, streams: answers.length, whileDown });
  });
}
