import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { z } from "zod";
import { catalogue } from "../core/model/catalogue.ts";

const defaultModels = catalogue.map((model) => model.name);

export const usage = `npm start -- [options]

Runs the whole network on this machine: Postgres, the router, worker nodes with real models.
  --port N      port of the router (default 8787; 0 takes any free one)
  --nodes N     worker nodes (default 2)
  --slots N     tasks at once, per node and model (default 4)
  --context N   longest prompt plus answer, in tokens (default 4096)
  --model NAME  a model to serve, by name or as a path to a GGUF; may be given again
                (default ${defaultModels.join(" and ")})
  --state DIR   where keys, data and logs are kept (default .devnet)
  --help        this text`;

const wholeNumber = (name: string, { least, most, otherwise }: { least: number; most: number; otherwise: number }) =>
  z
    .string()
    .regex(/^\d+$/)
    .transform(Number)
    .pipe(z.number().min(least).max(most))
    .default(otherwise)
    .catch(() => {
      throw new Error(`--${name} takes a whole number from ${least} to ${most}.`);
    });

const flagsSchema = z.object({
  port: wholeNumber("port", { least: 0, most: 65_535, otherwise: 8_787 }),
  nodes: wholeNumber("nodes", { least: 1, most: 64, otherwise: 2 }),
  slots: wholeNumber("slots", { least: 1, most: 256, otherwise: 4 }),
  context: wholeNumber("context", { least: 64, most: 10_000_000, otherwise: 4_096 }),
  model: z
    .array(z.string().min(1))
    .default([...defaultModels])
    .catch(() => {
      throw new Error("--model takes a model's name, or the path of a GGUF file.");
    }),
  state: z
    .string()
    .min(1)
    .default(resolve(import.meta.dirname, "../.devnet"))
    .transform((dir) => resolve(dir))
    .catch(() => {
      throw new Error("--state takes a folder.");
    }),
});
export type Flags = z.infer<typeof flagsSchema>;

/** The devnet's flags; `help` where only the usage was asked for. Throws an `Error` whose message says what is wrong. */
export function parseFlags(argv: readonly string[]): Flags | "help" {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      port: { type: "string" },
      nodes: { type: "string" },
      slots: { type: "string" },
      context: { type: "string" },
      model: { type: "string", multiple: true },
      state: { type: "string" },
      help: { type: "boolean" },
    },
  });
  return values.help ? "help" : flagsSchema.parse(values);
}
