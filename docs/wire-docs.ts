import { z } from "zod";
import { commitmentSchema } from "../core/commitment/commitment.ts";
import { modelCardSchema } from "../core/model/model-card.ts";
import { nodeFrameExamples, routerFrameExamples } from "../core/wire/frame-examples.ts";
import {
  checkReportSchema,
  deltaItemSchema,
  failReasonSchema,
  findingSchema,
  hardwareSchema,
  heldAttemptSchema,
  helloFrameSchema,
  logprobSchema,
  nodeFrameSchema,
} from "../core/wire/node-frame.ts";
import { heartbeatText } from "../core/wire/protocol.ts";
import { ackedFrameSchema, routerFrameSchema, welcomeFrameSchema } from "../core/wire/router-frame.ts";
import {
  chatInputSchema,
  chatMessageSchema,
  checkInputSchema,
  completionInputSchema,
  embedInputSchema,
  outputFormatSchema,
  samplingSchema,
  toolCallSchema,
  toolChoiceSchema,
  toolSchema,
} from "../core/wire/task-input.ts";
import {
  fieldDescriptions,
  nodeFrameDescriptions,
  reasonDescriptions,
  routerFrameDescriptions,
} from "./wire-descriptions.ts";
import { wireIntroduction } from "./wire-introduction.ts";

type JsonSchema = z.core.JSONSchema.BaseSchema;

/** What the documentation is made from; a test hands in changed frames. */
export interface WireSchemas {
  routerFrames: readonly z.ZodObject[];
  nodeFrames: readonly z.ZodObject[];
}

export const wireSchemas: WireSchemas = {
  routerFrames: routerFrameSchema.options,
  nodeFrames: nodeFrameSchema.options,
};

/** Objects inside frames, in the order in which the document has them, by the name it gives them. */
const parts: Readonly<Record<string, z.ZodType>> = {
  "chat input": chatInputSchema,
  "completion input": completionInputSchema,
  "embedding input": embedInputSchema,
  "check input": checkInputSchema,
  message: chatMessageSchema,
  tool: toolSchema,
  "tool call": toolCallSchema,
  "named tool": toolChoiceSchema.options[1],
  "any object": outputFormatSchema.options[0],
  "object of a schema": outputFormatSchema.options[1],
  sampling: samplingSchema,
  "logprobs wish": samplingSchema.shape.logprobs.unwrap(),
  lease: welcomeFrameSchema.shape.leases.element,
  "acked item": ackedFrameSchema.shape.items.element,
  resumption: helloFrameSchema.shape.resume.unwrap(),
  "held attempt": heldAttemptSchema,
  model: modelCardSchema,
  hardware: hardwareSchema,
  gpu: hardwareSchema.shape.gpu.unwrap(),
  "delta item": deltaItemSchema,
  logprob: logprobSchema,
  alternative: logprobSchema.shape.top.element,
  vector: deltaItemSchema.shape.vectors.unwrap().element,
  "check report": checkReportSchema,
  finding: findingSchema,
  commitment: commitmentSchema,
};

/**
 * `docs/WIRE.md` as text: the whole of the protocol between router and node, from the schemas that both sides parse
 * with. Throws where a field has no words in `wire-descriptions.ts`, or words have no field.
 */
export async function wireDocs({ routerFrames, nodeFrames }: WireSchemas = wireSchemas): Promise<string> {
  const registry = z.registry<{ id: string }>();
  for (const [name, schema] of Object.entries(parts)) registry.add(schema, { id: name });
  for (const [index, option] of failReasonSchema.options.entries()) registry.add(option, { id: `reason ${index}` });
  registry.add(failReasonSchema, { id: "reason" });
  for (const frame of routerFrames) registry.add(frame, { id: `router ${typeOf(frame)}` });
  for (const frame of nodeFrames) registry.add(frame, { id: `node ${typeOf(frame)}` });
  const { schemas } = z.toJSONSchema(registry, { io: "input" });
  const described = new Set<string>();
  const tableOf = (id: string, owner: string) => fieldTable(schemas[id] ?? {}, owner, described);

  const frames = (
    side: "router" | "node",
    list: readonly z.ZodObject[],
    words: Readonly<Record<string, string>>,
    examples: Readonly<Record<string, object>>,
  ) =>
    list.flatMap((frame) => {
      const type = typeOf(frame);
      return [
        `### \`${type}\``,
        words[type] ?? fail(`the frame ${type} has no words`),
        tableOf(`${side} ${type}`, type),
        example(examples[type] ?? fail(`the frame ${type} has no example`)),
      ];
    });

  const sections = [
    await wireIntroduction(),
    "## Frames of the router",
    ...frames("router", routerFrames, routerFrameDescriptions, routerFrameExamples),
    "## Frames of the node",
    ...frames("node", nodeFrames, nodeFrameDescriptions, nodeFrameExamples),
    "## Parts",
    ...Object.keys(parts).flatMap((name) => [`### ${name}`, tableOf(name, name)]),
    "### reason",
    "Why a node does not do a task. `code` says which of these it is.",
    ...failReasonSchema.options.flatMap((option, index) => {
      const code = option.shape.code.value;
      return [`#### \`${code}\``, reasonDescriptions[code], tableOf(`reason ${index}`, code)];
    }),
  ];
  const idle = Object.keys(fieldDescriptions).filter((name) => !described.has(name));
  if (idle.length > 0) fail(`words without a field: ${idle.join(", ")}`);
  return `${sections.join("\n\n")}\n`;
}

function typeOf(frame: z.ZodObject): string {
  return z.object({ const: z.string() }).parse(z.toJSONSchema(frame).properties?.type).const;
}

function fail(problem: string): never {
  throw new Error(`docs/wire-descriptions.ts: ${problem}`);
}

/** A heartbeat has one spelling, which no formatter may touch; other frames are laid out to be read. */
function example(frame: object): string {
  const text = JSON.stringify(frame);
  if (text === heartbeatText) return ["```", text, "```"].join("\n");
  return ["```json", JSON.stringify(frame, null, 2), "```"].join("\n");
}

/** An enumeration longer than this stands below its table, so that the table can be read. */
const longestChoice = 8;

/** Fields of one object as a table, and below it what is too long for a cell. */
function fieldTable(schema: JsonSchema, owner: string, described: Set<string>): string {
  const required = new Set(schema.required);
  const below: string[] = [];
  const rows = Object.entries(schema.properties ?? {}).map(([field, property]) => {
    if (typeof property === "boolean") return fail(`${owner}.${field} has no schema`);
    const name = `${owner}.${field}`;
    described.add(name);
    const words =
      fieldDescriptions[name] ?? (property.const === undefined ? fail(`${name} has no words`) : "This, always.");
    const { enum: choices } = property;
    const isLong = choices !== undefined && choices.length > longestChoice;
    if (isLong) below.push(`\`${field}\` is one of ${choices.map((choice) => `\`${choice}\``).join(", ")}.`);
    const { type, bounds } = isLong ? { type: "string", bounds: "one of those below" } : typeAndBounds(property);
    return [`\`${field}\``, type, required.has(field) ? "yes" : "no", bounds, words];
  });
  const cells = [["field", "type", "required", "bounds", "what it is"], ["---", "---", "---", "---", "---"], ...rows];
  const table = cells.map((row) => `| ${row.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`).join("\n");
  return [table, ...below].join("\n\n");
}

function typeAndBounds(schema: JsonSchema): { type: string; bounds: string } {
  const { $ref, anyOf, oneOf, const: literal } = schema;
  if ($ref !== undefined) return { type: `[${$ref}](#${$ref.replaceAll(" ", "-")})`, bounds: "" };
  if (literal !== undefined) return { type: `\`${JSON.stringify(literal)}\``, bounds: "" };
  if (schema.enum !== undefined) {
    return { type: schema.enum.map((value) => `\`${JSON.stringify(value)}\``).join(" or "), bounds: "" };
  }
  const choices = anyOf ?? oneOf;
  if (choices !== undefined) {
    const each = choices.map((choice) => typeAndBounds(choice));
    const bounds = each.map((choice) => choice.bounds).filter((text) => text !== "");
    return { type: each.map((choice) => choice.type).join(" or "), bounds: bounds.join("; ") };
  }
  if (schema.type === "object" && schema.properties === undefined) return { type: "JSON object", bounds: "" };
  if (schema.type === "array") {
    const { items, prefixItems } = schema;
    if (prefixItems !== undefined) {
      const each = prefixItems.map((item) => typeAndBounds(typeof item === "boolean" ? {} : item));
      const bounds = each.map((item) => item.bounds).filter((text) => text !== "");
      return { type: `[${each.map((item) => item.type).join(", ")}]`, bounds: bounds.join("; ") };
    }
    const each = typeAndBounds(items === undefined || typeof items === "boolean" || Array.isArray(items) ? {} : items);
    const count = range(schema.minItems, schema.maxItems, "items");
    const bounds = [count, each.bounds === "" ? "" : `each: ${each.bounds}`].filter((text) => text !== "");
    return { type: `list of ${each.type}`, bounds: bounds.join("; ") };
  }
  if (schema.type === "string") return { type: "string", bounds: stringBounds(schema) };
  if (schema.type === "integer" || schema.type === "number") return { type: schema.type, bounds: numberBounds(schema) };
  if (schema.type === "boolean") return { type: "boolean", bounds: "" };
  if (schema.type === "null") return { type: "`null`", bounds: "" };
  return fail(`a schema of a kind that the document cannot show: ${JSON.stringify(schema).slice(0, 200)}`);
}

function stringBounds({ minLength, maxLength, pattern, contentEncoding }: JsonSchema): string {
  const isBase64 = contentEncoding === "base64";
  return [
    range(minLength, maxLength, "characters"),
    isBase64 ? "base64" : pattern === undefined ? "" : `\`${pattern}\``,
  ]
    .filter((text) => text !== "")
    .join(", ");
}

function numberBounds({ minimum, maximum, exclusiveMinimum, type }: JsonSchema): string {
  // Every integer is bounded by what JSON carries exactly; the introduction says so once.
  const most = type === "integer" && maximum === Number.MAX_SAFE_INTEGER ? undefined : maximum;
  if (typeof exclusiveMinimum !== "number") return range(minimum, most, "");
  if (type === "integer") return range(exclusiveMinimum + 1, most, "");
  return `above ${exclusiveMinimum}${most === undefined ? "" : `, up to ${number(most)}`}`;
}

function range(least: number | undefined, most: number | undefined, unit: string): string {
  const words = unit === "" ? "" : ` ${unit}`;
  if (least === undefined && most === undefined) return "";
  if (least === most) return `exactly ${number(least ?? 0)}${words}`;
  if (most === undefined) return `${number(least ?? 0)} or more${words}`;
  if (least === undefined) return `up to ${number(most)}${words}`;
  return `${number(least)} to ${number(most)}${words}`;
}

const number = (value: number) => value.toLocaleString("en-US");
