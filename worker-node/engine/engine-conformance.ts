import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ChatMessage } from "../../core/wire/task-input.ts";
import { type Answer, ask, greedy, prepare, user } from "./ask-engine.fixture.ts";
import { describeCheck } from "./check-conformance.ts";
import { describeContinuation } from "./continuation-conformance.ts";
import type { ChatOutcome, ContextOverflow, Engine } from "./engine.ts";

/** Makes engines for the suite; each call gives a new one, which the suite disposes of. */
export interface EngineMakers {
  /** A chat engine with at least two slots whose likeliest answers don't all end within the first twelve tokens. */
  makeChat(): Promise<Engine>;
  makeEmbedding(): Promise<Engine>;
  /** Slots of the chat engine. */
  slots: number;
  /** True where an answer with penalties that another node began is refused, so that it goes to yet another. */
  leavesPenalties?: boolean;
  /** Where the engine draws by docs/SAMPLING.md and checks answers that were: a token that ends an answer. */
  verifiable?: { endId: number };
}

/**
 * The guarantees every engine gives, as a vitest suite named `name`. An engine passes it with any model for which
 * the notes at `EngineMakers` hold.
 */
export function describeEngine(name: string, makers: EngineMakers): void {
  describe(`${name}: chat`, () => describeChat(makers));
  describe(`${name}: an answer begun elsewhere`, () =>
    describeContinuation({ ...makers, isVerifiable: makers.verifiable !== undefined }));
  const { verifiable } = makers;
  if (verifiable) describe(`${name}: another's answer`, () => describeCheck({ ...makers, ...verifiable }));
  describe(`${name}: embedding`, () => describeEmbedding(makers));
}

function describeChat({ makeChat, slots }: EngineMakers): void {
  let engine: Engine;
  beforeAll(async () => {
    engine = await makeChat();
  });
  afterAll(() => engine.dispose());

  test("says what it is", () => {
    expect(engine).toMatchObject({ kind: "chat", dimensions: undefined });
    expect(engine.contextTokens).toBeGreaterThan(0);
  });

  test("temperature 0 gives the same answer each time, whatever the seed", async () => {
    const first = await ask(engine, { sampling: { seed: 1 } });
    const second = await ask(engine, { sampling: { seed: 2 } });
    expect(second.tokenIds).toEqual(first.tokenIds);
    expect(first.tokenIds.length).toBeGreaterThan(0);
  });

  test("one seed gives one answer, also at the ends of its range", async () => {
    for (const seed of [0, 7, 0xffff_ffff]) {
      const sampling = { temperature: 1, seed };
      expect((await ask(engine, { sampling })).tokenIds).toEqual((await ask(engine, { sampling })).tokenIds);
    }
  });

  test("different seeds give different answers", async () => {
    const answers: string[] = [];
    for (const seed of [1, 2, 3, 4]) {
      answers.push((await ask(engine, { sampling: { temperature: 2, seed } })).tokenIds.join());
    }
    expect(new Set(answers).size).toBeGreaterThan(1);
  });

  test("answers that run at once have the lengths they have alone", async () => {
    const contents = Array.from({ length: slots }, (_, index) => `question number ${index}`);
    const alone: ChatOutcome[] = [];
    for (const content of contents) alone.push((await ask(engine, { messages: [user(content)] })).outcome);
    const together = await Promise.all(contents.map((content) => ask(engine, { messages: [user(content)] })));
    expect(together.map(({ outcome }) => outcome)).toEqual(alone);
  });

  test("more tasks than slots all finish", async () => {
    const answers = await Promise.all(
      Array.from({ length: 2 * slots + 1 }, (_, index) => ask(engine, { messages: [user(`task ${index}`)] })),
    );
    for (const { outcome, tokenIds } of answers) expect(outcome.completionTokens).toBe(tokenIds.length);
  });

  test("an answer has exactly maxTokens tokens when it ends by length, and fewer or as many otherwise", async () => {
    const reasons = new Set<string>();
    for (const maxTokens of [1, 2, 7]) {
      const { outcome, tokenIds } = await ask(engine, { sampling: { maxTokens } });
      reasons.add(outcome.finishReason);
      expect(tokenIds).toHaveLength(outcome.completionTokens);
      if (outcome.finishReason === "length") expect(outcome.completionTokens).toBe(maxTokens);
      else expect(outcome.completionTokens).toBeLessThanOrEqual(maxTokens);
    }
    expect(reasons).toContain("length");
  });

  test("without maxTokens an answer ends at the context's end at the latest", async () => {
    const { outcome } = await ask(engine, { sampling: { maxTokens: null, temperature: 1 } });
    const total = outcome.promptTokens + outcome.completionTokens;
    expect(total).toBeLessThanOrEqual(engine.contextTokens);
    if (outcome.finishReason === "length") expect(total).toBe(engine.contextTokens);
  });

  test("an answer ends before a stop string, of which no part is shown", async () => {
    const whole = (await ask(engine, { sampling: { maxTokens: 24 } })).text;
    for (const length of [1, 3, 6]) {
      const stop = whole.slice(Math.floor(whole.length / 3)).slice(0, length);
      const { outcome, text } = await ask(engine, { sampling: { maxTokens: 24, stop: [stop] } });
      expect(text).toBe(whole.slice(0, whole.indexOf(stop)));
      expect(outcome).toMatchObject({ finishReason: "stop", stopSequence: stop });
    }
  });

  test("a stop string that never comes changes nothing", async () => {
    const plain = await ask(engine);
    const stopped = await ask(engine, { sampling: { stop: [`${plain.text}\u0000never`] } });
    expect(stopped.text).toBe(plain.text);
    expect(stopped.outcome).toEqual(plain.outcome);
  });

  test("every token is in one piece, in order, and the pieces count as the outcome says", async () => {
    const { outcome, pieces, tokenIds } = await ask(engine, { sampling: { temperature: 1, seed: 3, maxTokens: 40 } });
    expect(tokenIds).toHaveLength(outcome.completionTokens);
    for (const piece of pieces) expect(piece.tokenIds.length + piece.text.length).toBeGreaterThan(0);
  });

  test("text in all scripts goes in, and only whole characters come out", async () => {
    const messages = [user("Žluťoučký кот 猫 🐈‍⬛ \u0000 \r\n end")];
    const { pieces } = await ask(engine, { messages, sampling: { temperature: 2, seed: 9, maxTokens: 60 } });
    for (const { text } of pieces) expect(text.isWellFormed()).toBe(true);
  });

  test("penalties of both signs are taken", async () => {
    for (const penalty of [-2, 2]) {
      const sampling = { frequencyPenalty: penalty, presencePenalty: penalty, maxTokens: 12 };
      expect((await ask(engine, { sampling })).outcome.completionTokens).toBeGreaterThan(0);
    }
    const plain = await ask(engine, { sampling: { maxTokens: 40 } });
    const punished = await ask(engine, { sampling: { frequencyPenalty: 2, presencePenalty: 2, maxTokens: 40 } });
    expect(new Set(punished.tokenIds).size).toBeGreaterThanOrEqual(new Set(plain.tokenIds).size);
  });

  test("a cancelled answer keeps what came, and its slot is free", async () => {
    const cancelOne = async (): Promise<Answer> => {
      const controller = new AbortController();
      const stopAtThird = (count: number) => void (count === 3 && controller.abort());
      return ask(engine, { sampling: { maxTokens: null }, signal: controller.signal, onPiece: stopAtThird });
    };
    const cancelled = await Promise.all(Array.from({ length: slots }, cancelOne));
    for (const { outcome, tokenIds } of cancelled) {
      expect(outcome.finishReason).toBe("cancelled");
      expect(tokenIds).toHaveLength(outcome.completionTokens);
      expect(outcome.completionTokens).toBeLessThanOrEqual(4);
    }
    await Promise.all(Array.from({ length: slots }, () => ask(engine)));
  });

  test("a task cancelled while its prompt is read ends as cancelled with nothing, and its slot is free", async () => {
    const longMessages = await longConversation(engine);
    const cancelWhileRead = async (): Promise<Answer> => {
      const controller = new AbortController();
      let wasRead = false;
      const onPiece = () => {
        wasRead ||= !controller.signal.aborted;
      };
      const reading = ask(engine, { messages: longMessages, signal: controller.signal, onPiece });
      // The first token of a short prompt comes while the long one is being read.
      await ask(engine, { onPiece: () => controller.abort() });
      const answer = await reading;
      // On a busy machine the word may come after the prompt was read: that says nothing of a prompt that is being read.
      return wasRead ? cancelWhileRead() : answer;
    };
    const { outcome, pieces } = await cancelWhileRead();
    expect(outcome).toMatchObject({ finishReason: "cancelled", completionTokens: 0 });
    expect(pieces).toEqual([]);
    const after = await Promise.all(Array.from({ length: slots }, () => ask(engine)));
    for (const { outcome } of after) expect(outcome.completionTokens).toBeGreaterThan(0);
    const whole = await ask(engine, { messages: longMessages });
    const fresh = await makeChat();
    expect(whole.tokenIds).toEqual((await ask(fresh, { messages: longMessages })).tokenIds);
    await fresh.dispose();
  });

  test("a task cancelled before it starts generates nothing", async () => {
    const { outcome, pieces } = await ask(engine, { signal: AbortSignal.abort() });
    expect(outcome).toMatchObject({ finishReason: "cancelled", completionTokens: 0 });
    expect(pieces).toEqual([]);
  });

  test("a reader that fails ends its task alone", async () => {
    const fail = () => {
      throw new Error("the reader is gone");
    };
    const other = ask(engine);
    await expect(ask(engine, { onPiece: fail })).rejects.toThrow("the reader is gone");
    expect((await other).tokenIds).toEqual((await ask(engine)).tokenIds);
  });

  test("a prompt too long is refused with both numbers before anything runs", async () => {
    const messages = [user("word ".repeat(engine.contextTokens))];
    const refused = await engine.prepareChat({ kind: "chat", messages, sampling: greedy });
    expect(refused).toMatchObject<Partial<ContextOverflow>>({
      kind: "context_overflow",
      contextTokens: engine.contextTokens,
      inputIndex: 0,
    });
    expect(refused.promptTokens).toBeGreaterThanOrEqual(engine.contextTokens);
  });

  test("what a slot remembers does not change an answer", async () => {
    const first = await ask(engine, { messages: [user("hello")] });
    const messages: ChatMessage[] = [user("hello"), { role: "assistant", content: first.text }, user("and then?")];
    const remembered = await ask(engine, { messages });
    await Promise.all(Array.from({ length: slots }, (_, index) => ask(engine, { messages: [user(`${index} other`)] })));
    const repeated = await ask(engine, { messages });
    expect(repeated.tokenIds).toEqual(remembered.tokenIds);
    const fresh = await makeChat();
    expect((await ask(fresh, { messages })).tokenIds).toEqual(remembered.tokenIds);
    await fresh.dispose();
  });

  test("measures a speed", async () => {
    const speed = await engine.measureTokensPerSecond();
    expect(speed).toBeGreaterThan(0);
    expect(speed).toBeLessThan(Number.POSITIVE_INFINITY);
  });

  test("disposal waits for what runs and refuses what comes after", async () => {
    const brief = await makeChat();
    const prepared = await prepare(brief, {});
    const running = prepared.run({ onPiece: () => {}, signal: new AbortController().signal });
    await brief.dispose();
    expect((await running).completionTokens).toBeGreaterThan(0);
    await expect(prepare(brief, {})).rejects.toThrow("disposed");
    await expect(prepared.run({ onPiece: () => {}, signal: new AbortController().signal })).rejects.toThrow("disposed");
  });
}

/** A prompt that leaves room for an answer and little more. */
async function longConversation(engine: Engine): Promise<ChatMessage[]> {
  for (let words = engine.contextTokens; words > 0; words -= 8) {
    const messages = [user("word ".repeat(words))];
    const prepared = await engine.prepareChat({ kind: "chat", messages, sampling: greedy });
    if (prepared.promptTokens + 2 * (greedy.maxTokens ?? 0) < engine.contextTokens) return messages;
  }
  throw new Error("no prompt fits the context");
}

function describeEmbedding({ makeEmbedding }: EngineMakers): void {
  let engine: Engine;
  beforeAll(async () => {
    engine = await makeEmbedding();
  });
  afterAll(() => engine.dispose());

  async function embed(texts: string[], signal = new AbortController().signal): Promise<Float32Array[]> {
    const prepared = await engine.prepareEmbedding({ kind: "embedding", texts });
    if (prepared.kind !== "prepared") throw new Error("a text does not fit");
    const vectors: Float32Array[] = [];
    await prepared.run({
      onVector: (index, vector) => {
        expect(index).toBe(vectors.length);
        vectors.push(vector);
      },
      signal,
    });
    return vectors;
  }
  const cosine = (left: Float32Array | undefined, right: Float32Array | undefined): number =>
    left?.reduce((sum, value, index) => sum + value * (right?.[index] ?? Number.NaN), 0) ?? Number.NaN;

  test("says what it is", () => {
    expect(engine.kind).toBe("embedding");
    expect(engine.dimensions).toBeGreaterThan(0);
  });

  test("each text gets one vector of unit length and the engine's dimensions, in order", async () => {
    const vectors = await embed(["hello", "a cat", "hello", "猫 🐈", "   ", "[SEP]"]);
    expect(vectors).toHaveLength(6);
    for (const vector of vectors) {
      expect(vector).toHaveLength(engine.dimensions ?? 0);
      expect(Math.hypot(...vector)).toBeCloseTo(1, 5);
    }
    expect(cosine(vectors[0], vectors[2])).toBeCloseTo(1, 5);
    expect(cosine(vectors[0], vectors[1])).toBeLessThan(0.9999);
  });

  test("tasks at once get the vectors they get alone", async () => {
    const texts = ["one", "two words", "three words here"];
    const alone = await embed(texts);
    const together = await Promise.all(texts.map((text) => embed([text])));
    for (const [index, vectors] of together.entries()) expect(cosine(vectors[0], alone[index])).toBeCloseTo(1, 5);
  });

  test("a text too long is refused with both numbers and its index, and nothing is cut off", async () => {
    const texts = ["short", "word ".repeat(2 * engine.contextTokens)];
    const refused = await engine.prepareEmbedding({ kind: "embedding", texts });
    expect(refused).toMatchObject<Partial<ContextOverflow>>({
      kind: "context_overflow",
      contextTokens: engine.contextTokens,
      inputIndex: 1,
    });
    expect(refused.promptTokens).toBeGreaterThan(engine.contextTokens);
  });

  test("a cancelled task stops between texts with the signal's reason", async () => {
    const reason = new Error("not wanted any more");
    await expect(embed(["one"], AbortSignal.abort(reason))).rejects.toBe(reason);
  });

  test("measures a speed", async () => {
    expect(await engine.measureTokensPerSecond()).toBeGreaterThan(0);
  });

  test("disposal waits for what runs and refuses what comes after", async () => {
    const brief = await makeEmbedding();
    const prepared = await brief.prepareEmbedding({ kind: "embedding", texts: ["one", "two"] });
    if (prepared.kind !== "prepared") throw new Error("a text does not fit");
    let vectors = 0;
    const running = prepared.run({ onVector: () => void vectors++, signal: new AbortController().signal });
    await brief.dispose();
    await running;
    expect(vectors).toBe(2);
    await expect(brief.prepareEmbedding({ kind: "embedding", texts: ["one"] })).rejects.toThrow("disposed");
  });
}
