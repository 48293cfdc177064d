import { z } from "zod";
import { limits } from "../../core/limits.ts";

/** What a batch may ask for. */
export const batchEndpoints = ["/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses"] as const;
export type BatchEndpoint = (typeof batchEndpoints)[number];

/** A request of a batch, as its file has it. */
export interface BatchLine {
  customId: string;
  /** JSON of the request's body. */
  body: string;
}

/** Why a file is no batch's input; `line` counts from 1. */
export interface LineProblem {
  code: string;
  line: number;
  message: string;
  param: string | null;
}

const lineSchema = z.object({
  custom_id: z.string().min(1, "must not be empty").max(512, "must have at most 512 characters"),
  method: z.literal("POST"),
  url: z.string(),
  body: z.record(z.string(), z.unknown()),
});

/** Reads a batch's lines one after the other, and knows which ids came before. */
export class BatchLines {
  readonly #endpoint: BatchEndpoint;
  readonly #seen = new Set<string>();

  constructor(endpoint: BatchEndpoint) {
    this.#endpoint = endpoint;
  }

  read(text: string, line: number): BatchLine | LineProblem {
    const problem = (code: string, message: string, param: string | null = null) => ({ code, line, message, param });
    if (text.length > limits.batchLineCharacters) {
      return problem("line_too_long", `A line has at most ${limits.batchLineCharacters} characters.`);
    }
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      return problem("invalid_json_line", "This line is no JSON.");
    }
    const parsed = lineSchema.safeParse(value);
    if (!parsed.success) {
      const [issue] = parsed.error.issues;
      const param = issue?.path.join(".") ?? "";
      return problem("invalid_request", `Invalid ${param === "" ? "line" : param}: ${issue?.message}.`, param);
    }
    const { custom_id: customId, url, body } = parsed.data;
    if (url !== this.#endpoint) return problem("mismatched_endpoint", `This batch is for ${this.#endpoint}.`, "url");
    if (this.#seen.has(customId)) {
      return problem("duplicate_custom_id", "An earlier line has this custom_id.", "custom_id");
    }
    this.#seen.add(customId);
    return { customId, body: JSON.stringify(body) };
  }
}

/** The lines of a text that comes in pieces, without their ends; empty ones are left out. */
export async function* linesOf(bytes: ReadableStream<Uint8Array>): AsyncGenerator<string, void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of bytes) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line.trim() !== "") yield line;
  }
  if (rest.trim() !== "") yield rest;
}
