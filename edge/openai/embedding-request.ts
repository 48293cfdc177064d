import { z } from "zod";
import { limits } from "../../core/limits.ts";
import { Refusal } from "../../core/refusal.ts";
import type { EmbedInput } from "../../core/wire/task-input.ts";
import { invalidValue } from "./invalid.ts";
import { type NetworkWishes, networkSchema, networkWishes } from "./network.ts";
import { parseRequest } from "./parse-request.ts";

const text = z.string().min(1, "must not be empty");
const tokenIds = z
  .array(z.int("must be a whole number").nonnegative("must be at least 0"))
  .min(1, "must hold at least one token id")
  .max(limits.promptTokens);

export const embeddingRequestSchema = z.object({
  model: z.string().min(1),
  input: z.union(
    [
      text,
      tokenIds,
      z.array(text).min(1, "must hold at least one text"),
      z.array(tokenIds).min(1, "must hold at least one text"),
    ],
    { error: "must be a text, a list of texts, a list of token ids or a list of such lists, none of them empty" },
  ),
  encoding_format: z.enum(["float", "base64"]).nullish(),
  dimensions: z.int("must be a whole number").min(1, "must be at least 1").nullish(),
  user: z.string().nullish(),
  network: networkSchema,
});

/** An embedding request, checked. */
export interface EmbeddingOrder extends NetworkWishes {
  input: EmbedInput;
  encoding: "float" | "base64";
  dimensions: number | undefined;
}

/** The order of a `POST /v1/embeddings` body (OpenAI API reference, Create embeddings). */
export function parseEmbeddingRequest(body: unknown): EmbeddingOrder {
  const request = parseRequest(embeddingRequestSchema, body);
  const wishes = networkWishes(request, { grants: "none" });
  const texts = textsOf(request.input);
  if (texts.length > limits.embeddingInputs) {
    throw invalidValue("input", `must hold at most ${limits.embeddingInputs} texts`);
  }
  const characters = texts.reduce((sum, each) => sum + (typeof each === "string" ? each.length : 0), 0);
  if (characters > limits.promptCharacters) {
    throw new Refusal({
      code: "prompt_too_large",
      param: "input",
      message: `The input has ${characters} characters and the limit is ${limits.promptCharacters}. Send it in parts.`,
    });
  }
  return {
    ...wishes,
    encoding: request.encoding_format ?? "float",
    dimensions: request.dimensions ?? undefined,
    input: { kind: "embedding", texts },
  };
}

/** A list of numbers is one text's token ids. */
function textsOf(input: z.output<typeof embeddingRequestSchema>["input"]): EmbedInput["texts"] {
  if (typeof input === "string") return [input];
  const ids = input.filter((each) => typeof each === "number");
  return ids.length > 0 ? [ids] : input.filter((each) => typeof each !== "number");
}
