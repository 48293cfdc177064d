import { once } from "node:events";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type WebSocket, WebSocketServer } from "ws";
import { newNodeKey, nodeIdOf } from "../core/identity/node-key.ts";
import { accountIdSchema, keyIdSchema, type NodeId } from "../core/ids.ts";
import type { AttemptEvent } from "../core/lease/attempt-event.ts";
import { type KeptLease, keptLeaseSchema, type LeaseTerms } from "../core/lease/lease.ts";
import { LeaseBook } from "../core/lease/lease-book.ts";
import type { LeaseEffect } from "../core/lease/lease-effect.ts";
import { modelNameSchema } from "../core/model/model-card.ts";
import { nodeFrameExamples, routerFrameExamples } from "../core/wire/frame-examples.ts";
import { type NodeFrame, nodeFrameSchema } from "../core/wire/node-frame.ts";
import { parseFrames } from "../core/wire/parse-frames.ts";
import type { RouterFrame } from "../core/wire/router-frame.ts";
import { RouterConnection } from "./connection/router-connection.ts";
import { HandEngine, type Run } from "./engine/hand-engine.fixture.ts";
import { attempt, model, taskFrame } from "./task-runner.fixture.ts";
import { TaskRunner } from "./task-runner.ts";

/** A router of one node on a real socket: the leases of the real one, and a reader that keeps what it is told. */
class Router {
  readonly told: AttemptEvent[] = [];
  readonly #server: WebSocketServer;
  readonly #nodeId: NodeId;
  #book: LeaseBook;
  #socket: WebSocket | undefined;
  #kept: KeptLease | undefined;
  credits = 0;
  sockets = 0;

  constructor(server: WebSocketServer, nodeId: NodeId) {
    this.#server = server;
    this.#nodeId = nodeId;
    this.#book = new LeaseBook(nodeId, { hasSocket: false });
    server.on("connection", (socket) => {
      socket.on("message", (data) => {
        const parsed = parseFrames(nodeFrameSchema, data.toString());
        if (!parsed.ok) throw new Error(parsed.problem);
        for (const frame of parsed.frames) this.#hear(socket, frame);
      });
      socket.send(JSON.stringify(routerFrameExamples.challenge));
    });
  }

  /** Hands the node the task of the fixture. */
  begin(): void {
    const frame = taskFrame(1);
    const terms: LeaseTerms = {
      taskId: frame.taskId,
      attemptId: frame.attemptId,
      accountId: accountIdSchema.parse("acct1"),
      keyId: keyIdSchema.parse("key_0001"),
      modelName: modelNameSchema.parse("a-model"),
      model,
      kind: "chat",
      inputs: 0,
      dimensions: null,
      createdAtMs: Date.now(),
      priorAttempts: [],
      continuedTokens: 0,
    };
    this.#perform(this.#book.open(terms, frame, Date.now()));
  }

  /** Ends the socket without a word, as a broken line does. */
  cut(): void {
    this.#socket?.terminate();
    this.#socket = undefined;
    this.#perform(this.#book.socketLost(Date.now(), Date.now(), "cut"));
  }

  /** Forgets everything but what storage has; the socket outlives it where it is there. */
  reset(): void {
    this.#perform(this.#book.tick(Date.now() + 1_000, Date.now() + 1_000));
    if (this.#kept === undefined) throw new Error("storage knows of no lease");
    const kept = keptLeaseSchema.parse(JSON.parse(JSON.stringify(this.#kept)));
    this.#book = new LeaseBook(this.#nodeId, { hasSocket: this.#socket !== undefined });
    this.#book.recover({ open: [kept], ended: [] }, Date.now());
  }

  /** The reader comes back with what it was told. */
  attach(): void {
    const pieces = this.told.flatMap((event) => (event.type === "delta" ? [event] : []));
    const request = {
      attemptId: attempt(1),
      nextSeq: pieces.length,
      completionTokens: pieces.flatMap(({ tokenIds }) => tokenIds ?? []).length,
      vectors: [],
    };
    const { attached, effects } = this.#book.attach(request, Date.now());
    if (attached.kind !== "open") throw new Error(`the attempt is ${attached.kind}`);
    this.#perform(effects);
  }

  #hear(socket: WebSocket, frame: NodeFrame): void {
    const nowMs = Date.now();
    if (frame.type === "hello") {
      const { leases, effects } = this.#book.welcome(frame.resume?.holding ?? [], nowMs);
      this.#socket = socket;
      this.sockets += 1;
      this.#send({ ...routerFrameExamples.welcome, leases });
      this.#perform(effects);
    } else if (frame.type === "ack") this.#perform(this.#book.ack(frame.attemptId, frame.promptTokens, nowMs));
    else if (frame.type === "commit") this.#perform(this.#book.commit(frame, nowMs));
    else if (frame.type === "fail") this.#perform(this.#book.fail(frame.attemptId, frame.reason, nowMs));
    else if (frame.type === "pull") this.credits = frame.creditsTotal;
    else if (frame.type === "delta") for (const item of frame.items) this.#perform(this.#book.delta(item, nowMs));
  }

  #perform(effects: readonly LeaseEffect[]): void {
    for (const effect of effects) {
      if (effect.type === "send") this.#send(effect.frame);
      else if (effect.type === "tell") this.told.push(effect.event);
      else if (effect.type === "keep") this.#kept = effect.kept;
    }
  }

  #send(frame: RouterFrame): void {
    this.#socket?.send(JSON.stringify(frame));
  }

  async close(): Promise<void> {
    for (const socket of this.#server.clients) socket.terminate();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

const { name, software, engine: engineName, hardware, models } = nodeFrameExamples.hello;
const until = (check: () => void) => vi.waitFor(check, { timeout: 20_000 });
let router: Router;
let engine: HandEngine;
let runner: TaskRunner;
let connection: RouterConnection;
let ran: Promise<void>;

beforeEach(async () => {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  const key = await newNodeKey();
  router = new Router(server, await nodeIdOf(key.publicKey));
  engine = new HandEngine();
  runner = new TaskRunner({
    models: [{ name: modelNameSchema.parse("a-model"), fileSha256: model, slots: 2, engine }],
    privateKey: key.privateKey,
    send: (frame) => connection.send(frame),
    onFinished: () => {},
  });
  connection = new RouterConnection({
    routerUrl: new URL(`http://127.0.0.1:${address.port}`),
    key,
    details: { name, software, engine: engineName, hardware, models },
    events: {
      onWelcome: (welcome) => runner.open(welcome),
      onFrame: (frame) => {
        if (frame.type === "task") runner.take(frame);
        else if (frame.type === "resume") runner.resume(frame);
        else if (frame.type === "cancel") runner.cancel(frame);
        else if (frame.type === "acked") runner.acked(frame);
      },
      onLost: () => runner.lost(),
    },
    work: { holding: () => runner.holding(), isBusy: () => runner.runningCount > 0 },
  });
  ran = connection.run();
  await until(() => expect(router.credits).toBe(2));
  router.begin();
  await until(() => expect(engine.runs).toHaveLength(1));
});
afterEach(async () => {
  connection.close();
  await ran;
  await runner.close();
  await router.close();
});

const run = (): Run => {
  const [first] = engine.runs;
  if (first === undefined) throw new Error("the engine has not begun");
  return first;
};
/** The engine's tokens up to this one, and what the reader has of them. */
let made = 0;
beforeEach(() => {
  made = 0;
});
const make = (tokens: number) => {
  for (let token = 0; token < tokens; token += 1, made += 1) run().piece({ text: `${made} `, tokenIds: [made] });
};
const read = () => router.told.flatMap((event) => (event.type === "delta" ? (event.tokenIds ?? []) : []));
const upTo = (count: number) => Array.from({ length: count }, (_, token) => token);
const committed = (completionTokens: number) => ({
  type: "committed",
  finishReason: "stop",
  promptTokens: 7,
  completionTokens,
  commitment: expect.any(Object),
});

test("a reader notices nothing of a line that is cut again and again", async () => {
  for (let cut = 1; cut <= 3; cut += 1) {
    make(5);
    await until(() => expect(read().length).toBeGreaterThan((cut - 1) * 10));
    router.cut();
    make(5);
    await until(() => expect(router.sockets).toBe(cut + 1));
    await until(() => expect(read()).toEqual(upTo(cut * 10)));
  }
  run().finish();
  await until(() => expect(router.told.at(-1)).toEqual(committed(30)));
  expect(router.told.filter(({ type }) => type !== "delta")).toHaveLength(1);
  expect(engine.runs).toHaveLength(1);
  expect(runner.resumedCount).toBe(3);
});

test("an answer that ends while the line is cut is told when it is back", async () => {
  make(5);
  await until(() => expect(read().length).toBeGreaterThan(0));
  router.cut();
  make(5);
  run().finish();
  await until(() => expect(router.told.at(-1)).toEqual(committed(10)));
  expect(read()).toEqual(upTo(10));
});

test("a router that is reset under a live socket is told again from where the reader is", async () => {
  make(5);
  await until(() => expect(read()).toEqual(upTo(5)));
  router.reset();
  make(5);
  run().finish();
  await until(() => expect(router.credits).toBe(3));
  router.attach();
  await until(() => expect(router.told.at(-1)).toEqual(committed(10)));
  expect(read()).toEqual(upTo(10));
});

test("a node that is back before the reader says nothing until it comes", async () => {
  make(5);
  await until(() => expect(read()).toEqual(upTo(5)));
  router.cut();
  router.reset();
  make(5);
  await until(() => expect(router.sockets).toBe(2));
  await until(() => expect(router.credits).toBe(1));
  expect(read()).toEqual(upTo(5));
  router.attach();
  run().finish();
  await until(() => expect(router.told.at(-1)).toEqual(committed(10)));
  expect(read()).toEqual(upTo(10));
});
