import { BenchProcess } from "../bench-process.ts";
import { type LoadJob, type LoadResult, loadResultSchema } from "./load-job.ts";

let clients = 0;

/** Does one measurement in a client process of its own. Throws where any answer was not what it must be. */
export async function runLoad(job: LoadJob, { folder }: { folder: string }): Promise<LoadResult> {
  const result = await tryLoad(job, { folder });
  if (result.errors > 0) throw new Error(`${result.errors} requests of ${job.url} failed: ${result.firstError}`);
  return result;
}

/** As {@link runLoad}, with the answers that failed only counted. */
export async function tryLoad(job: LoadJob, { folder }: { folder: string }): Promise<LoadResult> {
  clients += 1;
  const name = `client-${clients}`;
  const client = new BenchProcess({
    name,
    script: "bench/router/load-client.ts",
    flags: [JSON.stringify(job)],
    folder,
  });
  const read = (line: string) => (line.startsWith("{") ? loadResultSchema.parse(JSON.parse(line)) : undefined);
  const result = await client.lineWhere(read, { withinMs: job.warmUpMs + job.forMs + 120_000 });
  await client.stop();
  return result;
}
