import { describe, expect, test } from "vitest";
import { isHelloSigned, nodeIdOf, signHello } from "../identity/node-key.ts";
import { limits } from "../limits.ts";
import { examplePrivateKey, nodeFrameExamples, resumeExample, routerFrameExamples } from "./frame-examples.ts";
import { nodeFrameSchema } from "./node-frame.ts";
import { parseFrames } from "./parse-frames.ts";
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
  expect(parseFrames(schema, JSON.stringify(frame))).toEqual({ ok: true, frames: [frame] });
});

test.each(cases)("a %s's %s with a field nobody knows is refused", (_side, _type, schema, frame) => {
  const parsed = parseFrames(schema, JSON.stringify({ ...frame, extra: 1 }));
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
    expect(parseFrames(schema, JSON.stringify(rest)).ok).toBe(false);
  });

  test.each(fields)("a %s's %s whose %s is of another type is refused", (_side, _type, field, schema, frame) => {
    for (const wrong of [null, true, [[]]]) {
      expect(parseFrames(schema, JSON.stringify({ ...frame, [field]: wrong })).ok).toBe(false);
    }
  });
});

describe("a message of several frames", () => {
  test("is read in order, as it was sent", () => {
    const frames = [nodeFrameExamples.ack, nodeFrameExamples.delta, nodeFrameExamples.commit, nodeFrameExamples.pull];
    expect(parseFrames(nodeFrameSchema, JSON.stringify(frames))).toEqual({ ok: true, frames });
  });

  test("has at most 4,096 of them", () => {
    const { drained } = nodeFrameExamples;
    const fits = Array.from({ length: limits.framesPerMessage }, () => drained);
    expect(parseFrames(nodeFrameSchema, JSON.stringify(fits))).toEqual({ ok: true, frames: fits });
    expect(parseFrames(nodeFrameSchema, JSON.stringify([...fits, drained])).ok).toBe(false);
  });

  test("is refused whole where one of them is bad", () => {
    expect(parseFrames(nodeFrameSchema, JSON.stringify([nodeFrameExamples.drained, { type: "gossip" }])).ok).toBe(
      false,
    );
  });
});

test("a frame of the other side is refused", () => {
  expect(parseFrames(routerFrameSchema, JSON.stringify(nodeFrameExamples.hello)).ok).toBe(false);
  expect(parseFrames(nodeFrameSchema, JSON.stringify(routerFrameExamples.task)).ok).toBe(false);
});

const { hello, pull, ack, delta, commit, fail } = nodeFrameExamples;
const [item] = delta.items;
const [heldExample] = resumeExample.holding;
const { task, challenge, welcome, acked, standing } = routerFrameExamples;
const [leaseExample] = welcome.leases;
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
  [
    "a hello may bring back what its process holds",
    "node",
    { ...hello, resume: resumeExample },
    { ...hello, resume: { token: resumeExample.token } },
  ],
  [
    "a hello names at most 4,096 attempts",
    "node",
    { ...hello, resume: { ...resumeExample, holding: many(limits.heldAttempts, heldExample) } },
    { ...hello, resume: { ...resumeExample, holding: many(limits.heldAttempts + 1, heldExample) } },
  ],
  [
    "a held attempt has no unknown field",
    "node",
    { ...hello, resume: resumeExample },
    { ...hello, resume: { ...resumeExample, holding: [{ ...heldExample, mood: "good" }] } },
  ],
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
  ["an item has no unknown field", "node", delta, { ...delta, items: [{ ...item, logits: [] }] }],
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
  [
    "a node may have lost the pieces that are asked for",
    "node",
    { ...fail, reason: { code: "lost_pieces" } },
    { ...fail, reason: { code: "lost_pieces", nextSeq: 1 } },
  ],
  ["a resume token has 22 characters", "router", welcome, { ...welcome, resumeToken: welcome.resumeToken.slice(1) }],
  [
    "a welcome names a lease's next piece, or null",
    "router",
    { ...welcome, leases: [{ ...leaseExample, nextSeq: null }] },
    { ...welcome, leases: [{ ...leaseExample, nextSeq: -1 }] },
  ],
  [
    "a welcome names at most 4,096 leases",
    "router",
    { ...welcome, leases: many(limits.heldAttempts, leaseExample) },
    { ...welcome, leases: many(limits.heldAttempts + 1, leaseExample) },
  ],
  [
    "acks are of at most 4,096 attempts",
    "router",
    { ...acked, items: many(limits.heldAttempts, acked.items[0]) },
    { ...acked, items: many(limits.heldAttempts + 1, acked.items[0]) },
  ],
  [
    "a standing has 500 characters",
    "router",
    { ...standing, text: "x".repeat(500) },
    { ...standing, text: "x".repeat(501) },
  ],
  [
    "a task goes on after tokens of others",
    "router",
    { ...task, continues: many(limits.continuedTokens, 7) },
    { ...task, continues: many(limits.continuedTokens + 1, 7) },
  ],
  ["a token id is whole", "router", { ...task, continues: [0] }, { ...task, continues: [0.5] }],
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
  expect(parseFrames(schema, JSON.stringify(fits))).toMatchObject({ ok: true });
  expect(parseFrames(schema, JSON.stringify(past))).toMatchObject({ ok: false });
});

describe("what is wrong with a message", () => {
  test.each<[what: string, message: string | ArrayBuffer, problem: string]>([
    ["bytes", new ArrayBuffer(3), "frames are text, not binary"],
    ["no JSON", "{", "the message is not JSON"],
    ["nothing", "", "the message is not JSON"],
    ["a number", "7", "frame: "],
    ["null", "null", "frame: "],
    ["a list of nothing", "[]", "the message has 0 frames and may have 1 to 4096"],
    ["a list in a list", "[[]]", "frame: "],
    ["a list with one bad frame", JSON.stringify([pull, { ...pull, creditsTotal: -1 }]), "creditsTotal: "],
    ["an unknown type", '{"type":"gossip"}', "type: "],
    ["a wrong field", JSON.stringify({ ...pull, creditsTotal: "4" }), "creditsTotal: "],
    ["a wrong field deep inside", JSON.stringify({ ...delta, items: [{ ...item, seq: "0" }] }), "items.0.seq: "],
  ])("is told in a sentence: %s", (_what, message, problem) => {
    expect(parseFrames(nodeFrameSchema, message)).toEqual({ ok: false, problem: expect.stringContaining(problem) });
  });

  test("is not the message's own words: a prompt stays out of the logs", () => {
    const secret = "my secret prompt";
    const parsed = parseFrames(
      routerFrameSchema,
      JSON.stringify({ ...task, input: { kind: "chat", messages: secret } }),
    );
    expect(parsed).toMatchObject({ ok: false, problem: expect.not.stringContaining(secret) });
  });

  test("over the bound is refused unread", () => {
    const text = JSON.stringify(nodeFrameExamples.drained);
    expect(parseFrames(nodeFrameSchema, text.padEnd(limits.frameBytes)).ok).toBe(true);
    expect(parseFrames(nodeFrameSchema, text.padEnd(limits.frameBytes + 1))).toEqual({
      ok: false,
      problem: `the message has ${limits.frameBytes + 1} characters and the limit is ${limits.frameBytes}`,
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
  expect(parseFrames(nodeFrameSchema, heartbeatText).ok).toBe(true);
  expect(parseFrames(routerFrameSchema, heartbeatText).ok).toBe(true);
});
