import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { getLlama, type Llama, type Token } from "node-llama-cpp";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readGguf } from "../../worker-node/models/gguf-reader.ts";
import { tinyChatTemplate, writeTinyChatModel, writeTinyEmbeddingModel } from "./tiny-gguf.ts";

let folder: string;
let llama: Llama;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "tiny-"));
  llama = await getLlama({ gpu: false, build: "never", maxThreads: 1 });
});
afterAll(() => llama.dispose());

const sha256 = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex");

function writeChat(seed: number): string {
  const path = join(folder, `chat-${seed}.gguf`);
  writeTinyChatModel(path, { seed });
  return path;
}

test("a seed stands for one file, on every machine", () => {
  const embedding = join(folder, "embedding.gguf");
  writeTinyEmbeddingModel(embedding, { seed: 1 });
  expect(sha256(writeChat(1))).toBe("cd1018512859707f57a979306f73b6729699d280c2e088a89c6a1558a20e1b7a");
  expect(sha256(embedding)).toBe("e8c37287212b9e46440266f611f8375d144b5a299ac41916db2b010c35254ed0");
  expect(sha256(writeChat(2))).not.toBe(sha256(writeChat(1)));
});

test("the chat model says what a real one says", () => {
  const path = join(folder, "short.gguf");
  writeTinyChatModel(path, { seed: 1, contextTokens: 256 });
  expect(readGguf(path)).toMatchObject({
    architecture: "llama",
    kind: "chat",
    quantization: "F32",
    trainedContextTokens: 256,
    chatTemplate: tinyChatTemplate,
  });
});

test("any text comes back from the chat model's tokens as it went in", async () => {
  const model = await llama.loadModel({ modelPath: writeChat(1) });
  const everyByte = String.fromCharCode(...Array.from({ length: 0x250 }, (_, code) => code));
  const texts = ["Hello , world . it 's", " ▁ 東京 👩‍👩‍👧 \r\n\t  x  ", "é\u0301 \ufeff", "<|im_end|>", everyByte];
  for (const text of texts) expect(model.detokenize(model.tokenize(text))).toBe(text);
  const turn = model.tokenize("<|im_start|>user\nhi<|im_end|>", true);
  expect([turn[0], turn.at(-1)]).toEqual([model.tokens.bos, model.tokens.eos]);
  await model.dispose();
});

test("the chat model answers in printable text, never ends by itself, and reads its prompt", async () => {
  const model = await llama.loadModel({ modelPath: writeChat(1) });
  const context = await model.createContext({ contextSize: 512, threads: 1 });
  const sequence = context.getSequence();
  const answer = async (prompt: string, temperature: number) => {
    await sequence.clearHistory();
    const tokens: Token[] = [];
    const input = model.tokenize(`<|im_start|>user\n${prompt}<|im_end|>\n<|im_start|>assistant\n`, true);
    for await (const token of sequence.evaluate(input, { temperature, yieldEogToken: true, seed: 1 })) {
      if (tokens.push(token) === 200) break;
    }
    expect(tokens.some((token) => model.isEogToken(token))).toBe(false);
    return model.detokenize(tokens);
  };
  const answers = [await answer("hi", 0), await answer("ho", 0), await answer("hi", 1)];
  for (const text of answers) expect(text).toMatch(/^[\n -~]{200,}$/);
  expect(new Set(answers).size).toBe(3);
  expect(await answer("hi", 0)).toBe(answers[0]);
  await model.dispose();
});

test("texts that share words are closer than texts that do not", async () => {
  const path = join(folder, "embedding.gguf");
  writeTinyEmbeddingModel(path, { seed: 1 });
  const model = await llama.loadModel({ modelPath: path });
  const context = await model.createEmbeddingContext({ threads: 1 });
  const happy = await context.getEmbeddingFor("that is a happy person");
  const veryHappy = await context.getEmbeddingFor("that is a very happy person");
  const cat = await context.getEmbeddingFor("cats and dogs, 42!");
  expect(happy.vector).toHaveLength(32);
  expect(happy.calculateCosineSimilarity(veryHappy)).toBeGreaterThan(happy.calculateCosineSimilarity(cat) + 0.2);
  await model.dispose();
});
