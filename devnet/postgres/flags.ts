import { parseArgs } from "node:util";
import { z } from "zod";

const usage = `node devnet/postgres/main.ts --data DIR --password TEXT [--port N] [--exit-with-parent]

Runs an embedded Postgres behind Neon's SQL-over-HTTP on 127.0.0.1 and prints {"ready":true,"port":N} when it listens.
  --data DIR          where the database is kept; made where there is none
  --password TEXT     the password that connection strings must name
  --port N            0 for any free one, as without the flag
  --exit-with-parent  end when standard input closes, as it does when the process that started this one is gone`;

const flagsSchema = z.object({
  data: z.string({ error: "--data is missing" }).min(1, "--data is empty"),
  password: z.string({ error: "--password is missing" }).min(1, "--password is empty"),
  port: z
    .string()
    .regex(/^\d{1,5}$/, "--port is no port number")
    .transform(Number)
    .refine((port) => port <= 65_535, "--port is no port number")
    .default(0),
  "exit-with-parent": z.boolean().default(false),
});
export type Flags = z.infer<typeof flagsSchema>;

/** The command line's flags, or what is wrong with them, followed by how to call the program. */
export function readFlags(commandLine: readonly string[]): { ok: true; flags: Flags } | { ok: false; problem: string } {
  let values: unknown;
  try {
    ({ values } = parseArgs({
      args: [...commandLine],
      options: {
        data: { type: "string" },
        password: { type: "string" },
        port: { type: "string" },
        "exit-with-parent": { type: "boolean" },
      },
    }));
  } catch (error) {
    // `parseArgs` throws on an unknown flag and on one without its value, in words for the user.
    return { ok: false, problem: `${error instanceof Error ? error.message : error}\n\n${usage}` };
  }
  const parsed = flagsSchema.safeParse(values);
  if (parsed.success) return { ok: true, flags: parsed.data };
  return { ok: false, problem: `${parsed.error.issues.map((issue) => issue.message).join("; ")}\n\n${usage}` };
}
