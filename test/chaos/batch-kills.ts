import { toFile } from "openai";
import { expect, test } from "vitest";
import { z } from "zod";
import { taskIdSchema } from "../../core/ids.ts";
import { until } from "../e2e/wait.ts";
import { type ChaosNetwork, model } from "./network.ts";
import { settings } from "./settings.ts";

const lineSchema = z.object({
  custom_id: z.string(),
  response: z.object({
    status_code: z.literal(200),
    body: z.looseObject({
      usage: z.looseObject({ completion_tokens: z.int() }),
      network: z.object({ taskId: z.string() }),
    }),
  }),
});
const endedStatuses: readonly string[] = ["completed", "failed", "expired", "cancelled"];

/** A batch whose router dies under it twice. */
export function describeBatchKills(getNetwork: () => ChaosNetwork): void {
  const count = settings.batchLines;

  test(`a batch of ${count} completes with workerd killed twice: each line once, each task recorded once`, async () => {
    const network = getNetwork();
    const consumer = await network.newConsumer("batch");
    const { files, batches } = consumer.client;
    const ids = Array.from({ length: count }, (_, place) => `line ${place}`);
    const lines = ids.map((id) => ({
      ...{ custom_id: id, method: "POST", url: "/v1/chat/completions" },
      body: { model, temperature: 0, max_tokens: 4, messages: [{ role: "user", content: `Say ${id}.` }] },
    }));
    const jsonl = Buffer.from(lines.map((line) => JSON.stringify(line)).join("\n"));
    const { id: input } = await files.create({ purpose: "batch", file: await toFile(jsonl, "in.jsonl") });
    const { id } = await batches.create({
      ...{ input_file_id: input, endpoint: "/v1/chat/completions", completion_window: "24h" },
    });
    /** Whoever asks while workerd is down hears nothing. */
    const look = () => batches.retrieve(id).catch(() => undefined);
    const progress = (least: number) =>
      until(`${least} lines are done`, async () => ((await look())?.request_counts?.completed ?? 0) >= least, {
        withinMs: 600_000,
      });
    for (const share of [1 / 3, 2 / 3]) {
      await progress(Math.floor(count * share));
      await network.killWorkerd();
    }
    const ended = await until(
      "the batch has ended",
      async () => {
        const batch = await look();
        return batch !== undefined && endedStatuses.includes(batch.status) && batch;
      },
      { withinMs: 900_000 },
    );
    expect(ended).toMatchObject({ status: "completed", request_counts: { total: count, completed: count, failed: 0 } });
    const output = (await (await files.content(ended.output_file_id ?? "")).text()).trimEnd().split("\n");
    const results = output.map((line) => lineSchema.parse(JSON.parse(line)));
    expect(results.map((line) => line.custom_id)).toEqual(ids);

    // A line whose router died between its answer and its result was asked again, by a task of its own.
    const answeredBy = results.map(({ response }) => response.body.network.taskId);
    const { tasks, usage } = await until(
      "every answer's task is in the record",
      async () => {
        const record = await network.recordOf(consumer, count, 120_000);
        const completed = new Set(record.tasks.filter(isCompleted).map(({ taskId }) => taskId));
        return answeredBy.every((taskId) => completed.has(taskIdSchema.parse(taskId))) && record;
      },
      { withinMs: 120_000 },
    );
    const completed = tasks.filter(isCompleted);
    expect(new Set(tasks.map(({ taskId }) => taskId)).size).toBe(tasks.length);
    expect(usage.map(({ taskId }) => taskId).toSorted()).toEqual(
      expect.arrayContaining(completed.map(({ taskId }) => taskId).toSorted()),
    );
    expect(new Set(usage.map(({ taskId }) => taskId)).size).toBe(usage.length);
    console.log(`batch: ${count} lines, ${tasks.length} tasks on record, ${completed.length} of them completed`);
  }, 1_800_000);
}

const isCompleted = ({ state }: { state: string }) => state === "completed";
