import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Direction, TcpProxy } from "./tcp-proxy.ts";

/** A socket with what came out of it. */
class Peer {
  readonly socket: Socket;
  readonly closed: Promise<unknown>;
  text = "";
  hasEnded = false;
  #waiting: { text: string; tell: () => void } | undefined;

  constructor(socket: Socket) {
    this.socket = socket;
    this.closed = new Promise((resolve) => socket.once("close", resolve));
    // A reset is what most of these tests are about.
    socket.on("error", () => socket.destroy());
    socket.on("end", () => {
      this.hasEnded = true;
    });
    socket.setEncoding("utf8").on("data", (text: string) => {
      this.text += text;
      if (this.#waiting !== undefined && this.text === this.#waiting.text) this.#waiting.tell();
    });
  }

  /** Resolves once exactly this has come in all. */
  async has(text: string): Promise<void> {
    if (this.text !== text) await new Promise<void>((tell) => (this.#waiting = { text, tell }));
  }
}

let server: Server;
let proxy: TcpProxy;
let passed: { direction: Direction; text: string }[];
let accepted: Peer[];
let onAccepted: (peer: Peer) => void;
let dialled: Peer[];

beforeEach(async () => {
  passed = [];
  accepted = [];
  dialled = [];
  server = createServer({ allowHalfOpen: true }, (socket) => {
    const peer = new Peer(socket);
    accepted.push(peer);
    onAccepted(peer);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("The server does not listen.");
  proxy = await TcpProxy.listen({
    targetPort: () => address.port,
    onBytes: ({ direction, bytes }) => passed.push({ direction, text: Buffer.from(bytes).toString() }),
  });
});

afterEach(async () => {
  await proxy.close();
  for (const { socket } of [...accepted, ...dialled]) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
});

function dial(): Peer {
  const peer = new Peer(connect({ host: "127.0.0.1", port: proxy.port, allowHalfOpen: true }));
  dialled.push(peer);
  return peer;
}

/** Both ends of a connection through the proxy. */
async function pair(): Promise<{ client: Peer; target: Peer }> {
  const taken = new Promise<Peer>((resolve) => (onAccepted = resolve));
  const client = dial();
  return { client, target: await taken };
}

/** A turn of the network: bytes that are sent through a second, healthy connection have been there and back. */
async function roundTrip(): Promise<void> {
  const { client, target } = await pair();
  client.socket.write("ping");
  await target.has("ping");
  target.socket.write("pong");
  await client.has("pong");
  client.socket.destroy();
}

test("a healthy connection carries bytes both ways, and they are told", async () => {
  const { client, target } = await pair();
  client.socket.write("question");
  await target.has("question");
  target.socket.write("answer");
  await client.has("answer");
  expect(passed).toEqual([
    { direction: "toTarget", text: "question" },
    { direction: "fromTarget", text: "answer" },
  ]);
  expect(proxy.counts).toEqual({ total: 1, open: 1 });
});

test("an end in one direction leaves the other open", async () => {
  const { client, target } = await pair();
  client.socket.end("last word");
  await once(target.socket, "end");
  target.socket.end("answer");
  await client.closed;
  expect([target.text, client.text]).toEqual(["last word", "answer"]);
});

test("a socket that is destroyed closes the other side", async () => {
  const { client, target } = await pair();
  client.socket.destroy();
  target.socket.on("end", () => target.socket.end());
  await target.closed;
});

test("a reset is handed on as a reset, at once", async () => {
  const { client, target } = await pair();
  const error = once(target.socket, "error");
  client.socket.resetAndDestroy();
  expect(String(await error)).toContain("ECONNRESET");
});

test("megabytes pass whole, however slowly they are read", async () => {
  const { client, target } = await pair();
  const text = "0123456789".repeat(400_000);
  target.socket.pause();
  client.socket.end(text);
  await roundTrip();
  target.socket.resume();
  await once(target.socket, "end");
  expect(target.text === text).toBe(true);
});

test("a cut ends both sides, and a new connection is well", async () => {
  const { client, target } = await pair();
  proxy.cut();
  await Promise.all([client.closed, target.closed]);
  await roundTrip();
  expect(proxy.counts.total).toBe(2);
});

test("while it refuses no connection reaches the target; after that they do", async () => {
  proxy.refuse();
  await dial().closed;
  expect([accepted.length, proxy.counts.total]).toEqual([0, 0]);
  proxy.accept();
  await roundTrip();
});

test("a cut for a while refuses until it is over", async () => {
  const { client } = await pair();
  const over = proxy.cutFor(30);
  await client.closed;
  await dial().closed;
  expect(accepted).toHaveLength(1);
  await over;
  await roundTrip();
});

describe("a frozen connection", () => {
  test("hands nothing on while both sockets stay open, and all of it when it heals", async () => {
    const { client, target } = await pair();
    client.socket.write("before ");
    await target.has("before ");
    proxy.freeze();
    client.socket.write("after");
    target.socket.write("too");
    await roundTrip();
    expect([target.text, client.text]).toEqual(["before ", ""]);
    expect([target.socket.destroyed, client.socket.destroyed]).toEqual([false, false]);
    proxy.heal();
    await Promise.all([target.has("before after"), client.has("too")]);
  });

  test("of one direction still carries the other", async () => {
    const { client, target } = await pair();
    proxy.freeze(["toTarget"]);
    client.socket.write("lost");
    target.socket.write("heard");
    await client.has("heard");
    expect(target.text).toBe("");
  });

  test("hides the end of one side from the other until it heals", async () => {
    const { client, target } = await pair();
    proxy.freeze();
    client.socket.destroy();
    await client.closed;
    await roundTrip();
    expect([target.hasEnded, target.socket.destroyed]).toEqual([false, false]);
    target.socket.on("end", () => target.socket.end());
    proxy.heal();
    await target.closed;
  });

  test("is ended by a cut", async () => {
    const { client, target } = await pair();
    proxy.freeze();
    proxy.cut();
    await Promise.all([client.closed, target.closed]);
    expect(proxy.counts.open).toBe(0);
  });
});

test("a delay keeps bytes back that long, in order, and the end too", async () => {
  const { client, target } = await pair();
  proxy.delay(40);
  const sentAtMs = performance.now();
  client.socket.write("one ");
  client.socket.end("two");
  await once(target.socket, "end");
  expect(target.text).toBe("one two");
  // The proxy's clock has whole milliseconds, and a timer may ring one early.
  expect(performance.now() - sentAtMs).toBeGreaterThanOrEqual(38);
});
