import { describe, expect, test } from "vitest";
import { isHelloSigned, nodeIdOf, signHello } from "../identity/node-key.ts";
import { limits } from "../limits.ts";
import { examplePrivateKey, nodeFrameExamples, routerFrameExamples } from "./frame-examples.ts";
import { nodeFrameSchema } from "./node-frame.ts";
import { parseFrame } from "./parse-frame.ts";
import { heartbeatText } from "./protocol.ts";
import { routerFrameSchema } from "./router-frame.ts";

const directions = [
  ["router", routerFrameSchema, Object.values(routerFrameExamples)],
  ["node", nodeFrameSchema, Object.values(nodeFrameExamples)],
] as const;
const cases = directions.flatMap(([side, schema, examples]) =>
  examples.map((frame) => [side, frame.type, schema, frame] as const),
);

test.each(directions)("every frame of a %s has an example", (_side, schema, examples) => {
  const types = schema.options.map((option) => option.shape.type.value);
  expect(examples.map((frame) => frame.type).toSorted()).toEqual(types.toSorted());
});

test.each(cases)("a %s's %s is read as it was sent", (_side, _type, schema, frame) => {
  expect(parseFrame(schema, JSON.stringify(frame))).toEqual({ ok: true, frame });
});

test.each(cases)("a %s's %s with a field nobody knows is refused", (_side, _type, schema, frame) => {
  const parsed = parseFrame(schema, JSON.stringify({ ...frame, extra: 1 }));
  expect(parsed).toEqual({ ok: false, problem: expect.stringContaining("extra") });
});

describe("every field of every example", () => {
  const fields = cases.flatMap(([side, type, schema, frame]) =>
    Object.keys(frame)
      .filter((field) => field !== "invite")
      .map((field) => [side, type, field, schema, frame] as const),
  );
  test.each(fields)("a %s's %s without %s is refused", (_side, _type, field, schema, frame) => {
    const rest = Object.fromEntries(Object.entries(frame).filter(([key]) => key !== field));
    expect(parseFrame(schema, JSON.stringify(rest)).ok).toBe(false);
  });

  test.each(fields)("a %s's %s whose %s is of another type is refused", (_side, _type, field, schema, frame) => {
    for (const wrong of [null, true, [[]]]) {
      expect(parseFrame(schema, JSON.stringify({ ...frame, [field]: wrong })).ok).toBe(false);
    }
  });
});

test("a frame of the other side is refused", () => {
  expect(parseFrame(routerFrameSchema, JSON.stringify(nodeFrameExamples.hello)).ok).toBe(false);
  expect(parseFrame(nodeFrameSchema, JSON.stringify(routerFrameExamples.task)).ok).toBe(false);
});

const { hello, pull, ack, delta, commit, fail } = nodeFrameExamples;
const [item] = delta.items;
const { task, challenge } = routerFrameExamples;
const [card] = hello.models;
const many = <Item>(count: number, value: Item) => Array.from({ length: count }, () => value);

/** Each bound from both sides: what just fits is taken, what is one past is not. */
test.each<[bound: string, side: "node" | "router", fits: object, past: object]>([
  ["a hello names a model", "node", hello, { ...hello, models: [] }],
  [
    "a hello names at most 64 models",
    "node",
    { ...hello, models: many(limits.modelsPerNode, card) },
    { ...hello, models: many(limits.modelsPerNode + 1, card) },
  ],
  ["a node has a name", "node", { ...hello, name: "a" }, { ...hello, name: "" }],
  ["a name has 100 characters", "node", { ...hello, name: "a".repeat(100) }, { ...hello, name: "a".repeat(101) }],
  ["a public key has 43 characters", "node", hello, { ...hello, publicKey: "A".repeat(44) }],
  ["a public key is base64url", "node", hello, { ...hello, publicKey: "+".repeat(43) }],
  ["a signature has 86 characters", "node", hello, { ...hello, signature: "A".repeat(85) }],
  ["credits are not negative", "node", { ...pull, creditsTotal: 0 }, { ...pull, creditsTotal: -1 }],
  ["credits are whole", "node", pull, { ...pull, creditsTotal: 1.5 }],
  ["a model is a file's hash", "node", pull, { ...pull, model: "smollm2-135m-instruct" }],
  ["token counts are not negative", "node", ack, { ...ack, promptTokens: -1 }],
  ["token counts are exact", "node", ack, { ...ack, promptTokens: 2 ** 53 }],
  ["a delta has an item", "node", delta, { ...delta, items: [] }],
  [
    "a delta has at most 4,096 items",
    "node",
    { ...delta, items: many(4_096, item) },
    { ...delta, items: many(4_097, item) },
  ],
  [
    "an item's text has a bound",
    "node",
    { ...delta, items: [{ ...item, text: "x".repeat(limits.deltaCharacters) }] },
    { ...delta, items: [{ ...item, text: "x".repeat(limits.deltaCharacters + 1) }] },
  ],
  ["a seq is not negative", "node", delta, { ...delta, items: [{ ...item, seq: -1 }] }],
  [
    "a vector is base64",
    "node",
    { ...delta, items: [{ ...item, vectors: [{ index: 0, float32: "AACAPw==" }] }] },
    { ...delta, items: [{ ...item, vectors: [{ index: 0, float32: "AACAPw=" }] }] },
  ],
  ["an item has no unknown field", "node", delta, { ...delta, items: [{ ...item, logprobs: [] }] }],
  [
    "an answer ends in a way that is known",
    "node",
    { ...commit, finishReason: "length" },
    { ...commit, finishReason: "ok" },
  ],
  [
    "a node fails for a reason that is known",
    "node",
    { ...fail, reason: { code: "no_slot" } },
    { ...fail, reason: { code: "tired" } },
  ],
  [
    "a reason's words have a bound",
    "node",
    { ...fail, reason: { code: "engine_error", message: "x".repeat(500) } },
    { ...fail, reason: { code: "engine_error", message: "x".repeat(501) } },
  ],
  ["a nonce has 43 characters", "router", challenge, { ...challenge, nonce: "a" }],
  ["a challenge offers a protocol", "router", challenge, { ...challenge, protocols: [] }],
  ["a prompt has a message", "router", task, { ...task, input: { ...task.input, messages: [] } }],
  ["a task is of a known kind", "router", task, { ...task, input: { kind: "image" } }],
  [
    "an embedding has a text",
    "router",
    { ...task, input: { kind: "embedding", texts: ["a"] } },
    { ...task, input: { kind: "embedding", texts: [] } },
  ],
  [
    "a text is not empty",
    "router",
    { ...task, input: { kind: "embedding", texts: many(limits.embeddingInputs, "a") } },
    { ...task, input: { kind: "embedding", texts: [""] } },
  ],
])("%s", (_bound, side, fits, past) => {
  const schema = side === "node" ? nodeFrameSchema : routerFrameSchema;
  expect(parseFrame(schema, JSON.stringify(fits))).toMatchObject({ ok: true });
  expect(parseFrame(schema, JSON.stringify(past))).toMatchObject({ ok: false });
});

describe("what is wrong with a message", () => {
  test.each<[what: string, message: string | ArrayBuffer, problem: string]>([
    ["bytes", new ArrayBuffer(3), "frames are text, not binary"],
    ["no JSON", "{", "the frame is not JSON"],
    ["nothing", "", "the frame is not JSON"],
    ["a number", "7", "frame: "],
    ["null", "null", "frame: "],
    ["a list", "[]", "frame: "],
    ["an unknown type", '{"type":"gossip"}', "type: "],
    ["a wrong field", JSON.stringify({ ...pull, creditsTotal: "4" }), "creditsTotal: "],
    ["a wrong field deep inside", JSON.stringify({ ...delta, items: [{ ...item, seq: "0" }] }), "items.0.seq: "],
  ])("is told in a sentence: %s", (_what, message, problem) => {
    expect(parseFrame(nodeFrameSchema, message)).toEqual({ ok: false, problem: expect.stringContaining(problem) });
  });

  test("is not the message's own words: a prompt stays out of the logs", () => {
    const secret = "my secret prompt";
    const parsed = parseFrame(
      routerFrameSchema,
      JSON.stringify({ ...task, input: { kind: "chat", messages: secret } }),
    );
    expect(parsed).toMatchObject({ ok: false, problem: expect.not.stringContaining(secret) });
  });

  test("over the bound is refused unread", () => {
    const text = JSON.stringify(nodeFrameExamples.drained);
    expect(parseFrame(nodeFrameSchema, text.padEnd(limits.frameBytes)).ok).toBe(true);
    expect(parseFrame(nodeFrameSchema, text.padEnd(limits.frameBytes + 1))).toEqual({
      ok: false,
      problem: `the frame has ${limits.frameBytes + 1} characters and the limit is ${limits.frameBytes}`,
    });
  });
});

test("the example of a hello answers the example of a challenge: it is truly signed, by the key its id belongs to", async () => {
  const { nodeId, host, publicKey, signature } = hello;
  const claim = { nodeId, host, nonce: challenge.nonce };
  expect(await nodeIdOf(publicKey)).toBe(nodeId);
  expect(await isHelloSigned(claim, { publicKey, signature })).toBe(true);
  expect(await signHello(claim, examplePrivateKey)).toBe(signature);
});

test("a heartbeat has one spelling in both directions", () => {
  expect(JSON.stringify(nodeFrameExamples.heartbeat)).toBe(heartbeatText);
  expect(JSON.stringify(routerFrameExamples.heartbeat)).toBe(heartbeatText);
  expect(parseFrame(nodeFrameSchema, heartbeatText).ok).toBe(true);
  expect(parseFrame(routerFrameSchema, heartbeatText).ok).toBe(true);
});
