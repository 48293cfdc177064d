import { parseArgs } from "node:util";
import { z } from "zod";
import { DirectoryInUse } from "./directory-lock.ts";
import { startPostgresEndpoint } from "./endpoint.ts";

const usage = `node devnet/postgres/main.ts --data DIR --password TEXT [--port N] [--exit-with-parent]

Runs an embedded Postgres behind Neon's SQL-over-HTTP on 127.0.0.1 and prints {"ready":true,"port":N} when it listens.
  --data DIR          where the database is kept; made where there is none
  --password TEXT     the password that connection strings must name
  --port N            0 for any free one, as without the flag
  --exit-with-parent  end when standard input closes, as it does when the process that started this one is gone`;

const flagsSchema = z.object({
  data: z.string({ error: "--data is missing" }).min(1, "--data is empty"),
  password: z.string({ error: "--password is missing" }).min(1, "--password is empty"),
  port: z.coerce.number("--port must be a number").int().min(0).max(65_535).default(0),
  "exit-with-parent": z.boolean().default(false),
});

const flags = readFlags();
let isClosing = false;

try {
  const endpoint = await startPostgresEndpoint({
    dataDir: flags.data,
    port: flags.port,
    password: flags.password,
    onBreakdown: (cause) => {
      console.error("Postgres broke down; start it again, and it recovers what was committed.", cause);
      process.exit(1);
    },
  });
  const close = async () => {
    if (isClosing) return;
    isClosing = true;
    await endpoint.close();
    process.exit(0);
  };
  process.on("SIGTERM", close);
  process.on("SIGINT", close);
  if (flags["exit-with-parent"]) process.stdin.on("close", close).resume();
  console.log(JSON.stringify({ ready: true, port: endpoint.port }));
} catch (error) {
  console.error(error instanceof DirectoryInUse ? error.message : error);
  process.exit(1);
}

function readFlags(): z.infer<typeof flagsSchema> {
  try {
    const { values } = parseArgs({
      options: {
        data: { type: "string" },
        password: { type: "string" },
        port: { type: "string" },
        "exit-with-parent": { type: "boolean" },
      },
    });
    return flagsSchema.parse(values);
  } catch (error) {
    const problem = error instanceof z.ZodError ? error.issues.map((issue) => issue.message).join("; ") : error;
    console.error(`${problem}\n\n${usage}`);
    process.exit(2);
  }
}
