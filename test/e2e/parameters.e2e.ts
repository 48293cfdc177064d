import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { Refusal } from "../../core/refusal.ts";
import { parseCountRequest, parseMessageRequest } from "../../edge/anthropic/message-request.ts";
import { parseChatRequest } from "../../edge/openai/chat-request.ts";
import { parseCompletionRequest } from "../../edge/openai/completion-request.ts";
import { parseEmbeddingRequest } from "../../edge/openai/embedding-request.ts";
import { parseResponseRequest } from "../../edge/responses/response-request.ts";
import { type Vendor, VendorSpec } from "./vendor-specs.ts";

const messages = [{ role: "user", content: "Hello" }];
const page = readFileSync(join(import.meta.dirname, "../../docs/API.md"), "utf8");
/** No parameter takes this number: it is no text, no flag, no list, no whole number, and out of every range. */
const nonsense = 12_345.678;

const requests: readonly (readonly [
  vendor: Vendor,
  schema: string,
  sections: readonly string[],
  good: object,
  parse: (body: unknown) => unknown,
])[] = [
  ["openai", "CreateChatCompletionRequest", ["/v1/chat/completions"], { model: "m", messages }, parseChatRequest],
  // "As chat where the name is the same", says its section.
  [
    ...(["openai", "CreateCompletionRequest", ["/v1/completions", "/v1/chat/completions"]] as const),
    { model: "m", prompt: "a" },
    parseCompletionRequest,
  ],
  ["openai", "CreateEmbeddingRequest", ["/v1/embeddings"], { model: "m", input: "a" }, parseEmbeddingRequest],
  ["openai", "CreateResponse", ["/v1/responses"], { model: "m", input: "a" }, parseResponseRequest],
  ["anthropic", "CreateMessageParams", ["/v1/messages"], { model: "m", max_tokens: 1, messages }, parseMessageRequest],
  ["anthropic", "CountMessageTokensParams", ["/v1/messages"], { model: "m", messages }, parseCountRequest],
];

const specs = new Map<Vendor, VendorSpec>();
beforeAll(async () => {
  for (const vendor of ["openai", "anthropic"] as const) specs.set(vendor, await VendorSpec.load(vendor));
});

/** The lines of the page below a heading that names this path. */
const sectionOf = (path: string) =>
  page.split(/^## /m).find((section) => section.split("\n")[0]?.includes(`${path}\``)) ?? "";

describe.each(requests)("%s's %s", (vendor, schema, sections, good, parse) => {
  const names = () => specs.get(vendor)?.propertiesOf(schema) ?? [];

  test("has every parameter in its table of docs/API.md", () => {
    const text = [...sections.map(sectionOf), sectionOf("Authorization"), page.split("## `POST")[0]].join("\n");
    const missing = names().filter((name) => !new RegExp(`\`[^\`]*\\b${name}\\b[^\`]*\``).test(text));
    expect(missing).toEqual([]);
    expect(names().length).toBeGreaterThan(4);
  });

  test("has no parameter that is dropped unread: nonsense in its place is refused by its name", () => {
    expect(() => parse(good)).not.toThrow();
    const outcomes = names().map((name) => {
      try {
        parse({ ...good, [name]: nonsense });
        return `${name} is taken`;
      } catch (error) {
        if (!(error instanceof Refusal)) return `${name}: ${String(error)}`;
        return error.param === name ? undefined : `${name} is refused as ${error.param}`;
      }
    });
    expect(outcomes.filter((outcome) => outcome !== undefined)).toEqual([]);
  });
});
