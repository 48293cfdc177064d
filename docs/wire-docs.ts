import { z } from "zod";
import { nodeIdOf, signHello } from "../core/identity/node-key.ts";
import { limits } from "../core/limits.ts";
import { modelCardSchema } from "../core/model/model-card.ts";
import {
  examplePrivateKey,
  nodeFrameExamples,
  resumeExample,
  routerFrameExamples,
} from "../core/wire/frame-examples.ts";
import {
  deltaItemSchema,
  failReasonSchema,
  hardwareSchema,
  heldAttemptSchema,
  helloFrameSchema,
  logprobSchema,
  nodeFrameSchema,
} from "../core/wire/node-frame.ts";
import { closeCodes, connectPath, heartbeatText, protocolVersions } from "../core/wire/protocol.ts";
import { ackedFrameSchema, routerFrameSchema, welcomeFrameSchema } from "../core/wire/router-frame.ts";
import {
  chatInputSchema,
  chatMessageSchema,
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
    await introduction(),
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
const seconds = (milliseconds: number) => `${milliseconds / 1_000} s`;

async function introduction(): Promise<string> {
  const { hello } = nodeFrameExamples;
  const { nonce } = routerFrameExamples.challenge;
  const { host, publicKey } = hello;
  const nodeId = await nodeIdOf(publicKey);
  const signature = await signHello({ nodeId, nonce, host }, examplePrivateKey);
  const codes: Record<keyof typeof closeCodes, string> = {
    finished: "The node drained. It stays away until its operator starts it again.",
    rejected: "The router said no in a `reject` just before.",
    superseded: "Another socket of the same node took over.",
    badFrame: "The node broke the protocol; the `reject` just before says how.",
    idle: "Nothing was heard for too long, or no hello came in time.",
    restart: "The router's object was reset. Dial again at once.",
  };
  return `# The wire between router and node

<!-- Made by \`npm run wire:docs\` from the schemas in core/wire. A change by hand is lost. -->

This is all that a node needs to know to serve a cortensor-edge network, in any language. The node dials the router
with one WebSocket and keeps it open; both sides send JSON texts. The schemas in \`core/wire\` are what both sides parse
with, and this page is made from them.

- A frame is one JSON object. A message is a text of at most ${number(limits.frameBytes)} characters that holds one frame, or a list of
  1 to ${number(limits.framesPerMessage)} frames, in order; put together what is ready together. Binary messages are refused.
- \`type\` says which frame it is. A field that this page does not name is refused, and so is one that is out of bounds:
  the router answers with \`reject\` (\`invalid_frame\`) and closes the socket.
- Integers are at most 2^53 − 1. An optional field is left out, not \`null\`.
- The protocol's version is ${protocolVersions.join(", ")}: the challenge offers, the hello chooses.

## Dialling

\`\`\`
wss://<router>${connectPath}?node=<the node's id>
\`\`\`

A router under a path keeps it: \`https://host/base\` is dialled as \`wss://host/base${connectPath}\`. \`http:\` becomes \`ws:\`.

\`\`\`
router                         node
  challenge {nonce}   ──────▶
                      ◀──────  hello {signature, models, …}
  welcome {epoch, …}  ──────▶
                      ◀──────  pull {model, creditsTotal}
  task {attemptId, …} ──────▶
                      ◀──────  [ack {promptTokens}, delta {items}]
                      ◀──────  delta {items}, again and again
  acked {items, over} ──────▶
                      ◀──────  [commit {counts}, pull {creditsTotal + 1}]
\`\`\`

## Identity

A node is an Ed25519 key (RFC 8032) that it draws itself and keeps. Keys and signatures travel as base64url without
padding (RFC 4648 §5).

- The id is \`node_\` and the first 32 characters of the SHA-256 of the 32 bytes of the public key, in base32 with the
  alphabet \`0123456789abcdefghjkmnpqrstvwxyz\`, most significant bits first.
- The signature of a hello is over the UTF-8 bytes of four lines, joined by \`\\n\`, with none at the end:

  \`\`\`
  cortensor-edge hello 1
  <host: as in the hello>
  <nodeId>
  <nonce: as the challenge wrote it>
  \`\`\`

- \`host\` is the host of the URL that the node dialled, in lower case, with its port where the URL has one that is not
  the scheme's own. It is signed so that a hello given to one router opens no other.

To try your code: with the key of RFC 8032 §7.1, test 1, these belong together.

| what | value |
| --- | --- |
| public key | \`${publicKey}\` |
| id | \`${nodeId}\` |
| host | \`${host}\` |
| nonce | \`${nonce}\` |
| signature | \`${signature}\` |

Who may join is the router's choice. A node that it does not know needs an invite, once; from then on its id belongs to
the invite's account.

## Credits

A node is never sent more than it asked for. For each model it says in \`pull\` how many tasks it has agreed to take
**in all on this socket**, those already sent to it included. The total only grows, and begins anew with each socket:

- after \`welcome\`, send the number of tasks of that model for which there is room: its slots, less those that still run
  from earlier sockets;
- for each task that ends, in whatever way, send a total one higher.

Since it is a total, a task and a \`pull\` that cross on their way are never counted wrongly. A total below an earlier one
changes nothing. A node that drains sends no more of them.

## Answers

1. \`ack\` or \`fail\` within ${seconds(limits.ackMs)} of the task. Count the prompt first: a prompt that does not fit is a \`fail\` with
   \`context_length_exceeded\`, not an answer.
2. Pieces go out as items of \`delta\` frames: the first at once, since a reader waits for it, then what gathered in a
   tick of 20 ms, of all answers in one frame. An \`ack\` may wait for the first piece as long as such a tick. \`seq\`
   counts each attempt's items from 0 without gaps. A gap, a second vector of one text, or a piece before the \`ack\`
   ends the attempt. A piece that came already means nothing.
3. \`commit\` once the answer is whole. \`completionTokens\` is the number of token ids sent in the attempt's items, and
   \`promptTokens\` what the \`ack\` said; otherwise the answer is not taken. Every text of an embedding has its vector.
4. Nothing of an attempt follows its \`commit\` or \`fail\`. Frames about an attempt that is over mean nothing.
5. A second \`task\` frame for an attempt that is held means nothing.

### Tool calls

Where a task has \`tools\` and its \`toolChoice\` is not \`none\`, the answer's text has each call in this form, whatever the
model's own way to write one is:

\`\`\`
<tool_call>
{"name": "NAME", "arguments": JSON}
</tool_call>
\`\`\`

with one space after each colon and comma that stand here, one line feed where a line ends here, and as JSON what
\`parameters\` asks for. The node forces it token by token from \`<tool_call>\` on. Text before, between and after is what
the model says beside its calls; \`<tool_call>\` is never part of that.

A node that is silent for ${seconds(limits.silenceMs)} after its \`ack\` is given up.

## Coming back

A lost socket stops nothing: readers wait, and an answer goes on over any number of sockets.

- Keep each attempt's ack, its pieces as they were sent, and its end, until \`acked\` names them: at least the latest
  ${number(limits.replayBytes / 1024)} KiB of an attempt. What ended may go ${seconds(limits.leaseGraceMs)} after its end.
- Dial again at once. The hello of a process that was welcome before has \`resume\`: the token of its last welcome, and
  each attempt that it holds.

  \`\`\`json
  ${JSON.stringify({ resume: resumeExample }, null, 2).replaceAll("\n", "\n  ")}
  \`\`\`

- The \`welcome\` names those that go on. For each that has a number in \`nextSeq\`: send its ack, its pieces from there,
  exactly as they were, and its end if there is one; then go on. For each that has \`null\`: send nothing of it until
  \`resume\` asks for it or \`cancel\` stops it; then say its ack and its end, without pieces. All others are over: stop
  and forget them, and send nothing of them.
- An attempt that is named and whose pieces are gone is answered with \`fail\` (\`lost_pieces\`).
- Without a socket for ${seconds(limits.leaseGraceMs)}, stop what runs: nobody waits for it any more. Be back sooner: where somebody reads the
  answer, another node goes on with it after ${seconds(limits.attachedGraceMs)}.

## Heartbeats

Every \`heartbeatMs\` of the welcome, send exactly this text, with no space in it:

\`\`\`
${heartbeatText}
\`\`\`

The router answers with the same text without waking what sleeps, which is why it must be spelled so, and be a message of
its own. No answer before the next one is due means that the socket is dead: close it and dial again. A router that hears
nothing for ${seconds(limits.idleSocketMs)} closes the socket.

While tasks run, send it every \`busyHeartbeatMs\`. Both sides then take a silence of ${seconds(limits.busySilenceMs)}, in which no frame came at
all, for a dead socket.

## Draining

To stop without losing work: send \`status\` with \`draining\`, answer tasks that cross it with \`fail\` (\`draining\`),
finish what runs, come back if the socket is lost meanwhile, send \`drained\`, and close with ${closeCodes.finished}. The router may
ask for the same with \`drain\`.

## When to dial again

After a \`reject\` with \`invalid_invite\`, \`invalid_signature\`, \`unsupported_protocol\` or \`superseded\`: never. Only a person
can mend it, and two boxes with one key would push each other out for ever. After anything else: at once, within 100 ms
drawn at random, and if that fails after a quarter of a second, twice as long for each further failure up to 15 s, each
wait drawn at random from its upper half, so that a fleet that lost its router does not come back in one moment. A socket
that was welcome for a second ends the count.

| close code | name | what it means |
| --- | --- | --- |
${Object.entries(codes)
  .map(([name, words]) => `| ${z.record(z.string(), z.int()).parse(closeCodes)[name]} | ${name} | ${words} |`)
  .join("\n")}`;
}
