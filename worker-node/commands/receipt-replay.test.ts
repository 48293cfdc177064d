import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { answerHead } from "../../core/commitment/answer-chain.ts";
import type { Evidence } from "../../core/commitment/evidence.ts";
import { signCommitment } from "../../core/commitment/sign-commitment.ts";
import { newNodeKey, nodeIdOf } from "../../core/identity/node-key.ts";
import { newAttemptId, newTaskId } from "../../core/ids.ts";
import { modelNameSchema } from "../../core/model/model-card.ts";
import type { ChatInput } from "../../core/wire/task-input.ts";
import { writeTinyChatModel } from "../../test/models/tiny-gguf.ts";
import { ask, greedy, user } from "../engine/ask-engine.fixture.ts";
import { hashFile } from "../models/file-hash.ts";
import { addModel } from "../models/store.ts";
import { openReplayModel } from "../receipt/open-replay-model.ts";
import { type ReceiptReplayOptions, receiptReplay } from "./receipt-replay.ts";

const folder = mkdtempSync(join(tmpdir(), "receipt-replay-"));
const modelPath = join(folder, "tiny.gguf");
const otherPath = join(folder, "other.gguf");
const cacheDir = join(folder, "cache");
const emptyCacheDir = join(folder, "empty");
const key = await newNodeKey();
const input: ChatInput = {
  kind: "chat",
  messages: [user("hello")],
  sampling: { ...greedy, temperature: 0.8, seed: 7 },
};
let honest: Evidence;
/** What each token of the honest answer adds to its text. */
let texts: readonly string[];

/** Evidence of these ids, with a commitment to them. */
async function committed(change: Partial<Evidence> = {}): Promise<Evidence> {
  const evidence = { ...honest, ...change };
  const { taskId, tokenIds, finishReason } = evidence;
  const [attempt] = honest.attempts;
  if (attempt === undefined) throw new Error("evidence has an attempt");
  const model = evidence.model.fileSha256;
  const head = await answerHead({ taskId, model }, tokenIds);
  const { attemptId, promptTokens } = attempt;
  const claim = { taskId, attemptId, model, promptTokens, answerTokens: tokenIds.length, finishReason, head };
  const commitment = { head, signature: await signCommitment(claim, key.privateKey) };
  return { ...evidence, attempts: [{ ...attempt, answerTokens: tokenIds.length, commitment }] };
}

beforeAll(async () => {
  writeTinyChatModel(modelPath, { seed: 1 });
  writeTinyChatModel(otherPath, { seed: 2 });
  await addModel(modelPath, { cacheDir, name: "tiny" });
  const { engine, textsOf, dispose } = await openReplayModel({
    path: modelPath,
    contextTokens: 256,
    gpu: false,
    threads: 1,
  });
  const prepared = await engine.prepareChat(input);
  if (prepared.kind !== "prepared" || prepared.promptIds === undefined) throw new Error("the prompt does not fit");
  const { promptIds, promptTokens } = prepared;
  const { tokenIds, text } = await ask(engine, { sampling: input.sampling });
  texts = textsOf(tokenIds);
  await dispose();
  const { publicKey } = key;
  const nodeId = await nodeIdOf(publicKey);
  const attempt = { attemptId: newAttemptId(), nodeId, publicKey, promptTokens, answerTokens: tokenIds.length };
  honest = {
    version: 1,
    taskId: newTaskId(),
    attempts: [{ ...attempt, commitment: null }],
    model: { name: modelNameSchema.parse("tiny"), fileSha256: await hashFile(modelPath) },
    ...{ input, promptIds: [...promptIds], tokenIds, text },
    ...{ finishReason: "length", stopSequence: null },
  };
  honest = await committed();
});
afterAll(() => rmSync(folder, { recursive: true }));

async function replay(evidence: unknown, options: Partial<ReceiptReplayOptions> = {}) {
  const file = join(folder, "receipt.json");
  writeFileSync(file, typeof evidence === "string" ? evidence : JSON.stringify(evidence));
  const lines: string[] = [];
  const code = await receiptReplay({
    ...{ file, model: undefined, contextTokens: undefined, cacheDir, gpu: false, threads: 1 },
    ...{ isJson: false, hasColours: false, out: (line) => lines.push(line) },
    ...options,
  });
  return { code, text: lines.join("\n") };
}

describe("an honest answer", () => {
  test("is plausible, every token of it, and it is said by which threshold", async () => {
    const { code, text } = await replay(honest);
    expect(text.split("\n\n")[0]).toBe(honest.text);
    expect(text).toContain(`answer       ${honest.taskId} by ${honest.attempts[0]?.nodeId}`);
    expect(text).toContain("positions    12, each of them read again");
    expect(text).toMatch(/mean margin {2}0\.0\d+ logits, at most 0\.8 is plausible \(a cautious default/);
    expect(text).toContain("prompt       ");
    expect(text).toContain("the same here (id for id)");
    expect(text).toContain("commitment   good: the node that ended the answer has signed these tokens");
    expect(text).toContain("verdict      plausible");
    expect(code).toBe(0);
  });

  test.each<[what: string, text: () => string]>([
    ["a whole response", () => JSON.stringify({ id: "chatcmpl-1", network: { evidence: honest } }, null, 2)],
    ["a response of the Responses API", () => JSON.stringify({ response: { network: { evidence: honest } } })],
    [
      "a stream's events",
      () => `data: {"choices":[]}\n\ndata: ${JSON.stringify({ network: { evidence: honest } })}\n\ndata: [DONE]\n\n`,
    ],
    ["its last event alone", () => `data: ${JSON.stringify({ network: { evidence: honest } })}`],
  ])("is read from %s", async (_what, text) => {
    expect((await replay(text())).code).toBe(0);
  });

  test("is told as JSON, place by place", async () => {
    const { code, text } = await replay(honest, { isJson: true });
    const told: unknown = JSON.parse(text);
    expect(told).toMatchObject({ taskId: honest.taskId, outcome: "plausible", reasons: [], faults: [] });
    expect(told).toHaveProperty("places.length", 12);
    expect(told).toHaveProperty("places.0.tokenId", honest.tokenIds[0]);
    expect(code).toBe(0);
  });

  test("of which another node made the beginning is plausible: the last one stands by all of it", async () => {
    const [attempt] = honest.attempts;
    if (attempt === undefined) throw new Error("evidence has an attempt");
    const gone = await newNodeKey();
    const earlier = {
      ...{ ...attempt, attemptId: newAttemptId(), answerTokens: 5, commitment: null },
      ...{ publicKey: gone.publicKey, nodeId: await nodeIdOf(gone.publicKey) },
    };
    expect((await replay({ ...honest, attempts: [earlier, attempt] })).code).toBe(0);
  });
});

describe("an answer that was tampered with is implausible:", () => {
  test("one token altered, and what this machine has there is said", async () => {
    const at = 6;
    const tokenIds = honest.tokenIds.with(at, honest.tokenIds[at] === 40 ? 41 : 40);
    const { code, text } = await replay(await committed({ tokenIds }));
    expect(code).toBe(1);
    expect(text).toMatch(/worst {8}position 6, rank \d+, margin \d\.\d+: ".+" where this machine has ".+"/);
    expect(text).toContain("text         the tokens spell another text than was given");
    expect(text).toContain("verdict      implausible");
    expect(text).toMatch(/⟦.⟧/);
    expect((await replay(await committed({ tokenIds }), { hasColours: true })).text).toContain("\u001b[97;41m");
  });

  test("the head altered", async () => {
    const [attempt] = honest.attempts;
    const commitment = { ...attempt?.commitment, head: "A".repeat(43) };
    const { code, text } = await replay({ ...honest, attempts: [{ ...attempt, commitment }] });
    expect(code).toBe(1);
    expect(text).toContain("commitment   the chain is not that of these tokens");
    expect(text).toContain("the signature is not that node's");
  });

  test("the signature altered", async () => {
    const [attempt] = honest.attempts;
    const commitment = { ...attempt?.commitment, signature: "A".repeat(86) };
    const { code, text } = await replay({ ...honest, attempts: [{ ...attempt, commitment }] });
    expect(code).toBe(1);
    expect(text).toContain("commitment   the signature is not that node's over this answer");
  });

  test("another node's name on it", async () => {
    const [attempt] = honest.attempts;
    const nodeId = await nodeIdOf((await newNodeKey()).publicKey);
    const { code, text } = await replay({ ...honest, attempts: [{ ...attempt, nodeId }] });
    expect(code).toBe(1);
    expect(text).toContain(`commitment   the key is not that node's (${nodeId})`);
  });

  test("nobody standing by it", async () => {
    const [attempt] = honest.attempts;
    const { code, text } = await replay({ ...honest, attempts: [{ ...attempt, commitment: null }] });
    expect(code).toBe(1);
    expect(text).toContain("commitment   no node stands by this answer");
  });

  test("made for another prompt", async () => {
    const { code, text } = await replay({ ...honest, input: { ...input, messages: [user("jello")] } });
    expect(code).toBe(1);
    expect(text).toContain("prompt       the node read another prompt than this machine renders");
  });

  test("with another seed than was asked for", async () => {
    const sampling = { ...input.sampling, seed: 8 };
    expect((await replay({ ...honest, input: { ...input, sampling } })).code).toBe(1);
  });

  test("cut off before its bound, and which flag would tell of a shorter context", async () => {
    const tokenIds = honest.tokenIds.slice(0, 6);
    const { code, text } = await replay(await committed({ tokenIds }));
    expect(code).toBe(1);
    expect(text).toContain("end          cut off after 6 tokens, with a bound of 12 given. If the node's context");
  });

  test("ended where the model would not have", async () => {
    const tokenIds = honest.tokenIds.slice(0, 6);
    const text = texts.slice(0, 6).join("");
    const { code, text: told } = await replay(await committed({ tokenIds, text, finishReason: "stop" }));
    expect(code).toBe(1);
    expect(told.split("\n\n")[0]).toBe(`${text}⟦(the end)⟧`);
    expect(told).toContain("end          the model would not have ended it here");
    expect(told).toMatch(/worst {8}position 6, rank \d+, margin \d\.\d+: the end where this machine has ".+"/);
  });

  test("ids that the model does not have", async () => {
    const { code } = await replay(await committed({ tokenIds: honest.tokenIds.with(2, 9_999_999) }));
    expect(code).toBe(1);
  });
});

describe("nothing is said for or against an answer, with exit code 2,", () => {
  test("where this machine does not hold its model: how to get it", async () => {
    const { code, text } = await replay(honest, { cacheDir: emptyCacheDir });
    expect(code).toBe(2);
    expect(text).toContain(
      `Get the GGUF with SHA-256 ${honest.model.fileSha256} and run \`cortensor-node models add FILE\``,
    );
    const fileSha256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";
    const known = await replay({ ...honest, model: { name: "smollm2-135m-instruct", fileSha256 } });
    expect(known).toMatchObject({ code: 2 });
    expect(known.text).toContain("Run `cortensor-node models pull smollm2-135m-instruct`.");
  });

  test("where the file that was given is another", async () => {
    const { code, text } = await replay(honest, { model: otherPath });
    expect(code).toBe(2);
    expect(text).toContain(`${otherPath} is another file`);
    expect((await replay(honest, { model: modelPath, cacheDir: emptyCacheDir })).code).toBe(0);
  });

  test("where the node's own sampler drew it; at temperature 0 it is checked all the same", async () => {
    const [attempt] = honest.attempts;
    const attempts = [{ ...attempt, decoding: "own" }];
    const { code, text } = await replay({ ...honest, attempts });
    expect(code).toBe(2);
    expect(text).toContain("serves with a sampler of its own");
  });

  test.each<[what: string, text: string, words: string]>([
    ["no evidence", '{"choices":[]}', "There is no evidence in this file."],
    ["no JSON", "hello", "There is no evidence in this file."],
    ["evidence of another version", '{"network":{"evidence":{"version":2}}}', "(version: "],
  ])("where the file has %s", async (_what, text, words) => {
    const replayed = await replay(text);
    expect(replayed.code).toBe(2);
    expect(replayed.text).toContain(words);
  });

  test("where there is no such file, in JSON too", async () => {
    const { code, text } = await replay(honest, { file: join(folder, "nowhere.json"), isJson: true });
    expect(code).toBe(2);
    expect(JSON.parse(text)).toMatchObject({ outcome: "unchecked", reason: "unreadable" });
  });

  test("where prompt and answer are longer than what is read", async () => {
    const { code, text } = await replay(honest, { contextTokens: 20 });
    expect(code).toBe(2);
    expect(text).toContain("--context");
  });
});
