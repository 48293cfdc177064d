import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type WebSocket, WebSocketServer } from "ws";
import { isHelloSigned, type NodeKeyPair, newNodeKey, nodeIdOf } from "../../core/identity/node-key.ts";
import { limits } from "../../core/limits.ts";
import type { RefusalCode } from "../../core/refusal.ts";
import { nodeFrameExamples, resumeExample, routerFrameExamples } from "../../core/wire/frame-examples.ts";
import { type HeldAttempt, type HelloFrame, helloFrameSchema } from "../../core/wire/node-frame.ts";
import { connectPath, heartbeatText, protocolVersions } from "../../core/wire/protocol.ts";
import type { RouterFrame } from "../../core/wire/router-frame.ts";
import { type ConnectionEvents, ConnectionRefused, RouterConnection, type WelcomeFrame } from "./router-connection.ts";

const { name, software, engine, hardware, models } = nodeFrameExamples.hello;
const details = { name, software, engine, hardware, models };
const { challenge, welcome, task, cancel, acked } = routerFrameExamples;

/** A welcome after which no heartbeat comes in the time of a test, to a node that holds nothing. */
const calm: WelcomeFrame = { ...welcome, heartbeatMs: 60_000, busyHeartbeatMs: 60_000, leases: [] };

/** A node's socket as the router has it. */
class Guest {
  readonly socket: WebSocket;
  readonly path: string;
  readonly closed: Promise<number>;
  readonly #messages: string[] = [];
  readonly #waiting: ((message: string) => void)[] = [];

  constructor(socket: WebSocket, path: string) {
    this.socket = socket;
    this.path = path;
    this.closed = new Promise((resolve) => socket.once("close", resolve));
    socket.on("message", (data) => {
      const waiting = this.#waiting.shift();
      if (waiting === undefined) this.#messages.push(data.toString());
      else waiting(data.toString());
    });
  }

  /** Frames as one message. */
  say(...frames: RouterFrame[]): void {
    this.socket.send(JSON.stringify(frames.length === 1 ? frames[0] : frames));
  }

  /** The next message from the node, in order. */
  heard(): Promise<string> {
    const message = this.#messages.shift();
    if (message !== undefined) return Promise.resolve(message);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Challenges, takes the hello, and welcomes. */
  async admit(fields: Partial<WelcomeFrame> = {}): Promise<HelloFrame> {
    this.say(challenge);
    const hello = helloFrameSchema.parse(JSON.parse(await this.heard()));
    this.say({ ...calm, ...fields });
    return hello;
  }
}

let server: WebSocketServer;
let routerUrl: URL;
let key: NodeKeyPair;
let guests: Guest[];
let arrivals: ((guest: Guest) => void)[];
let connection: RouterConnection;
let holding: HeldAttempt[];
let isBusy: boolean;
let events: { [Event in keyof ConnectionEvents]: ReturnType<typeof vi.fn<ConnectionEvents[Event]>> };

beforeEach(async () => {
  guests = [];
  arrivals = [];
  server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  server.on("connection", (socket, request) => {
    const guest = new Guest(socket, request.url ?? "");
    const arrival = arrivals.shift();
    if (arrival === undefined) guests.push(guest);
    else arrival(guest);
  });
  await new Promise((resolve) => server.once("listening", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  routerUrl = new URL(`http://127.0.0.1:${address.port}`);
  key = await newNodeKey();
  events = { onWelcome: vi.fn(), onFrame: vi.fn(), onLost: vi.fn() };
  holding = [];
  isBusy = false;
  connection = dial();
});
afterEach(async () => {
  vi.useRealTimers();
  connection.close();
  for (const socket of server.clients) socket.terminate();
  await new Promise((resolve) => server.close(resolve));
});

function dial(options: { routerUrl?: URL; invite?: string } = {}): RouterConnection {
  return new RouterConnection({
    routerUrl: options.routerUrl ?? routerUrl,
    key,
    details: { ...details, invite: options.invite },
    events,
    work: { holding: () => holding, isBusy: () => isBusy },
  });
}

/** The next socket that a node opens, in order. */
function arrival(): Promise<Guest> {
  const guest = guests.shift();
  if (guest !== undefined) return Promise.resolve(guest);
  return new Promise((resolve) => arrivals.push(resolve));
}

/** Waits for what a busy machine may take long to do. */
const until = (check: () => void) => vi.waitFor(check, { timeout: 20_000 });
const welcomed = () => until(() => expect(events.onWelcome).toHaveBeenCalledOnce());

describe("joining", () => {
  test("dials the connect path under its own id", async () => {
    const ran = connection.run();
    const guest = await arrival();
    expect(guest.path).toBe(`${connectPath}?node=${await nodeIdOf(key.publicKey)}`);
    connection.close();
    await ran;
  });

  test("keeps the path that a router stands under", async () => {
    connection = dial({ routerUrl: new URL("/base/", routerUrl) });
    const ran = connection.run();
    expect((await arrival()).path).toMatch(/^\/base\/v1\/nodes\/connect\?node=node_/);
    connection.close();
    await ran;
  });

  test("signs the router's nonce, its own id and the host that it dialled", async () => {
    const ran = connection.run();
    const hello = await (await arrival()).admit();
    const nodeId = await nodeIdOf(key.publicKey);
    expect(hello).toMatchObject({
      type: "hello",
      protocol: Math.max(...protocolVersions),
      nodeId,
      host: routerUrl.host,
      ...details,
    });
    expect(hello).not.toHaveProperty("invite");
    const claim = { nodeId, nonce: challenge.nonce, host: routerUrl.host };
    expect(await isHelloSigned(claim, hello)).toBe(true);
    // The control: the same signature opens no other router.
    expect(await isHelloSigned({ ...claim, host: "other.example" }, hello)).toBe(false);
    connection.close();
    await ran;
  });

  test("shows the invite it was given", async () => {
    connection = dial({ invite: "inv-abcd-secret" });
    const ran = connection.run();
    expect((await (await arrival()).admit()).invite).toBe("inv-abcd-secret");
    connection.close();
    await ran;
  });

  test("tells of the welcome, then of everything else, in order, in one message or in several", async () => {
    const ran = connection.run();
    const guest = await arrival();
    await guest.admit();
    guest.say(task);
    guest.say(cancel, acked);
    await until(() => expect(events.onFrame).toHaveBeenCalledTimes(3));
    expect(events.onWelcome.mock.calls).toEqual([[calm]]);
    expect(events.onFrame.mock.calls).toEqual([[task], [cancel], [acked]]);
    connection.close();
    await ran;
  });

  test("says nothing before it is welcome, and everything after, in order", async () => {
    const ran = connection.run();
    const guest = await arrival();
    connection.send({ type: "drained" });
    await guest.admit();
    await welcomed();
    connection.send(nodeFrameExamples.pull);
    connection.send(nodeFrameExamples.ack);
    expect(JSON.parse(await guest.heard())).toEqual([nodeFrameExamples.pull, nodeFrameExamples.ack]);
    connection.send(nodeFrameExamples.commit);
    expect(JSON.parse(await guest.heard())).toEqual(nodeFrameExamples.commit);
    connection.close();
    await ran;
  });

  test("what is sent in answer to a welcome goes as one message", async () => {
    events.onWelcome.mockImplementation(() => {
      connection.send(nodeFrameExamples.ack);
      connection.send(nodeFrameExamples.pull);
    });
    const ran = connection.run();
    const guest = await arrival();
    await guest.admit();
    expect(JSON.parse(await guest.heard())).toEqual([nodeFrameExamples.ack, nodeFrameExamples.pull]);
    connection.close();
    await ran;
  });
});

describe("a lost socket", () => {
  test("is told with its reason and the wait, and dialled again", async () => {
    const ran = connection.run();
    const first = await arrival();
    await first.admit();
    await welcomed();
    first.socket.close(1012, "the object was reset");
    const second = await arrival();
    expect(events.onLost).toHaveBeenCalledOnce();
    const [loss] = events.onLost.mock.calls[0] ?? [];
    expect(loss).toMatchObject({ reason: "the object was reset", wasWelcomed: true });
    await second.admit();
    await until(() => expect(events.onWelcome).toHaveBeenCalledTimes(2));
    connection.close();
    await ran;
  });

  test.each<[what: string, livedMs: number, leastMs: number, mostMs: number]>([
    ["that lasted is dialled again at once: readers wait", 1_000, 0, 100],
    ["that broke at once is dialled again after a pause, so that nobody is dialled without end", 0, 125, 250],
  ])("%s", async (_what, livedMs, leastMs, mostMs) => {
    const clock = vi.spyOn(performance, "now").mockReturnValue(5_000);
    const ran = connection.run();
    const guest = await arrival();
    await guest.admit();
    await welcomed();
    clock.mockReturnValue(5_000 + livedMs);
    guest.socket.terminate();
    await until(() => expect(events.onLost).toHaveBeenCalledOnce());
    clock.mockRestore();
    const retryMs = events.onLost.mock.calls[0]?.[0].retryMs;
    expect(retryMs).toBeGreaterThanOrEqual(leastMs);
    expect(retryMs).toBeLessThanOrEqual(mostMs);
    connection.close();
    await ran;
  });

  test("takes its frames with it: none reaches the next socket", async () => {
    const ran = connection.run();
    const first = await arrival();
    await first.admit();
    await welcomed();
    first.socket.terminate();
    await until(() => expect(events.onLost).toHaveBeenCalled());
    connection.send(nodeFrameExamples.commit);
    const second = await arrival();
    await second.admit();
    await until(() => expect(events.onWelcome).toHaveBeenCalledTimes(2));
    connection.send(nodeFrameExamples.pull);
    expect(JSON.parse(await second.heard())).toEqual(nodeFrameExamples.pull);
    connection.close();
    await ran;
  });

  test("without a reason names the close code", async () => {
    const ran = connection.run();
    const guest = await arrival();
    guest.socket.close(1001);
    await until(() => expect(events.onLost).toHaveBeenCalled());
    expect(events.onLost.mock.calls[0]?.[0].reason).toBe("the socket closed with 1001");
    connection.close();
    await ran;
  });

  test("whose router is not there says so, and is dialled again", async () => {
    const nowhere = new WebSocketServer({ port: 0, host: "127.0.0.1" });
    await new Promise((resolve) => nowhere.once("listening", resolve));
    const address = nowhere.address();
    if (address === null || typeof address === "string") throw new Error("the server has no port");
    await new Promise((resolve) => nowhere.close(resolve));
    connection = dial({ routerUrl: new URL(`http://127.0.0.1:${address.port}`) });
    const ran = connection.run();
    await until(() => expect(events.onLost.mock.calls.length).toBeGreaterThanOrEqual(2));
    expect(events.onLost.mock.calls[0]?.[0].reason).toContain("ECONNREFUSED");
    expect(events.onLost.mock.calls[0]?.[0].wasWelcomed).toBe(false);
    connection.close();
    await ran;
  });
});

describe("what outlives a socket", () => {
  test("is nothing at the first hello", async () => {
    holding = [...resumeExample.holding];
    const ran = connection.run();
    expect(await (await arrival()).admit()).not.toHaveProperty("resume");
    connection.close();
    await ran;
  });

  test("is named at the next, with the last welcome's token, as it is at that moment", async () => {
    const ran = connection.run();
    const [first, second] = ["1".repeat(22), "2".repeat(22)];
    const one = await arrival();
    await one.admit({ resumeToken: first });
    await welcomed();
    one.socket.terminate();
    const two = await arrival();
    holding = [...resumeExample.holding];
    const hello = await two.admit({ resumeToken: second, leases: welcome.leases });
    expect(hello.resume).toEqual({ token: first, holding: resumeExample.holding });
    await until(() => expect(events.onWelcome).toHaveBeenCalledTimes(2));
    expect(events.onWelcome.mock.calls[1]?.[0].leases).toEqual(welcome.leases);
    holding = [];
    two.socket.terminate();
    expect((await (await arrival()).admit()).resume).toEqual({ token: second, holding: [] });
    connection.close();
    await ran;
  });
});

describe("the router's no", () => {
  const reject = (code: RefusalCode): RouterFrame => ({ type: "reject", code, message: `told: ${code}` });

  test.each<RefusalCode>([
    "invalid_invite",
    "invalid_signature",
    "unsupported_protocol",
    "superseded",
    "invalid_frame",
  ])("%s in answer to a hello is final: the node does not dial again", async (code) => {
    const refused = expect(connection.run()).rejects.toMatchObject({
      name: "ConnectionRefused",
      code,
      message: `told: ${code}`,
    });
    const guest = await arrival();
    guest.say(reject(code));
    guest.socket.close(4001, code);
    await refused;
    expect(events.onLost).not.toHaveBeenCalled();
    expect(guests).toEqual([]);
  });

  test("superseded is final also after a welcome: two boxes must not fight over one id", async () => {
    const refused = expect(connection.run()).rejects.toBeInstanceOf(ConnectionRefused);
    const guest = await arrival();
    await guest.admit();
    guest.say(reject("superseded"));
    guest.socket.close(4002);
    await refused;
  });

  test.each<RefusalCode>(["idle", "invalid_frame", "internal_error"])(
    "%s after a welcome passes: the node dials again",
    async (code) => {
      const ran = connection.run();
      const first = await arrival();
      await first.admit();

      first.say(reject(code));
      first.socket.close(4004);
      await arrival();
      expect(events.onLost.mock.calls[0]?.[0].reason).toBe(`told: ${code}`);
      connection.close();
      await ran;
    },
  );
});

test.each([
  ["in answer to a hello", false],
  ["after a welcome", true],
])("a suspension told %s is waited out: the node asks again in about a minute", async (_when, isWelcome) => {
  const ran = connection.run();
  const guest = await arrival();
  if (isWelcome) await guest.admit();
  guest.say({
    type: "reject",
    code: "suspended",
    message: "This node is suspended: two answers were not its model's.",
  });
  guest.socket.close(4001, "suspended");
  await vi.waitFor(() => expect(events.onLost).toHaveBeenCalled());
  const [loss] = events.onLost.mock.calls[0] ?? [];
  expect(loss?.reason).toContain("two answers were not its model's");
  expect(loss?.retryMs).toBeGreaterThanOrEqual(45_000);
  connection.close();
  await ran;
});

describe("a router that breaks the protocol is left, and dialled again", () => {
  test.each<[what: string, message: string | Buffer, problem: string]>([
    ["no JSON", "{", "the message is not JSON"],
    ["an unknown frame", '{"type":"gossip"}', "type: "],
    ["an unknown field", JSON.stringify({ ...cancel, why: "x" }), "why"],
    ["one bad frame among good ones", JSON.stringify([cancel, { type: "gossip" }]), "type: "],
    ["bytes", Buffer.from(heartbeatText), "frames are text, not binary"],
  ])("%s", async (_what, message, problem) => {
    const ran = connection.run();
    const guest = await arrival();
    await guest.admit();
    await welcomed();
    guest.socket.send(message);
    await guest.closed;
    await until(() => expect(events.onLost).toHaveBeenCalledOnce());
    const reason = events.onLost.mock.calls[0]?.[0].reason;
    expect(reason).toContain("the router sent a frame this node does not know: ");
    expect(reason).toContain(problem);
    expect(events.onFrame).not.toHaveBeenCalled();
    connection.close();
    await ran;
  });
});

describe("a heartbeat", () => {
  test("is sent as often as the welcome says, in the one spelling, and an answered one keeps the socket", async () => {
    const ran = connection.run();
    const guest = await arrival();
    await guest.admit({ heartbeatMs: 20 });
    for (let beat = 0; beat < 5; beat += 1) {
      expect(await guest.heard()).toBe(heartbeatText);
      guest.socket.send(heartbeatText);
    }
    expect(events.onLost).not.toHaveBeenCalled();
    connection.close();
    await ran;
  });

  test("that nobody answers ends the socket, and another is dialled", async () => {
    const ran = connection.run();
    const guest = await arrival();
    await guest.admit({ heartbeatMs: 20 });
    expect(await guest.heard()).toBe(heartbeatText);
    await guest.closed;
    await arrival();
    expect(events.onLost.mock.calls[0]?.[0].reason).toBe("the router stopped answering");
    connection.close();
    await ran;
  });
});

describe("while tasks run", () => {
  /** Resolves when an event comes; `until` would move a clock that stands still. */
  const next = (event: keyof ConnectionEvents) =>
    new Promise<void>((resolve) => events[event].mockImplementationOnce(() => resolve()));

  test("heartbeats come as often as the welcome says for it, each alone, from a task's arrival to its last frame", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval"] });
    const [welcomeCame, taskCame] = [next("onWelcome"), next("onFrame")];
    const ran = connection.run();
    const guest = await arrival();
    await guest.admit({ busyHeartbeatMs: 1_000 });
    await welcomeCame;
    vi.advanceTimersByTime(10_000);
    isBusy = true;
    guest.say(task);
    await taskCame;
    for (let beat = 0; beat < 3; beat += 1) {
      vi.advanceTimersByTime(1_000);
      expect(await guest.heard()).toBe(heartbeatText);
      const heard = next("onFrame");
      guest.say({ type: "heartbeat" }, acked);
      await heard;
    }
    isBusy = false;
    connection.send(nodeFrameExamples.commit);
    expect(JSON.parse(await guest.heard())).toEqual(nodeFrameExamples.commit);
    vi.advanceTimersByTime(10_000);
    connection.send(nodeFrameExamples.pull);
    expect(JSON.parse(await guest.heard())).toEqual(nodeFrameExamples.pull);
    connection.close();
    await ran;
  });

  test("a router that says nothing for 3 s is left, and dialled again at once", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "performance"] });
    isBusy = true;
    const [welcomeCame, lossCame] = [next("onWelcome"), next("onLost")];
    const ran = connection.run();
    const guest = await arrival();
    await guest.admit();
    await welcomeCame;
    vi.advanceTimersByTime(limits.busySilenceMs - 1);
    connection.send(nodeFrameExamples.pull);
    expect(JSON.parse(await guest.heard())).toEqual(nodeFrameExamples.pull);
    vi.advanceTimersByTime(1);
    await guest.closed;
    await lossCame;
    expect(events.onLost.mock.calls[0]?.[0]).toMatchObject({
      reason: "the router stopped answering",
      wasWelcomed: true,
    });
    expect(events.onLost.mock.calls[0]?.[0].retryMs).toBeLessThanOrEqual(100);
    connection.close();
    await ran;
  });
});

test("a router that takes the socket and says nothing is given up in time", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const ran = connection.run();
  const guest = await arrival();
  vi.advanceTimersByTime(limits.helloMs - 1);
  expect(events.onLost).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  await guest.closed;
  await until(() => expect(events.onLost).toHaveBeenCalledOnce());
  expect(events.onLost.mock.calls[0]?.[0].reason).toBe("the router did not welcome this node in time");
  // The clock stands still now: closing ends the wait for the next dial, however long it was.
  connection.close();
  await ran;
});

test("closing sends what was said before it", async () => {
  const ran = connection.run();
  const guest = await arrival();
  await guest.admit();
  await welcomed();
  connection.send(nodeFrameExamples.drained);
  connection.close();
  expect(JSON.parse(await guest.heard())).toEqual(nodeFrameExamples.drained);
  await ran;
});

test("closing ends the socket as finished, and the run with it", async () => {
  const ran = connection.run();
  const guest = await arrival();
  await guest.admit();
  await welcomed();
  connection.close();
  expect(await guest.closed).toBe(1000);
  await ran;
  expect(events.onLost).not.toHaveBeenCalled();
});
