import { once } from "node:events";
import { afterAll, beforeAll, expect, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { type Direction, TcpProxy } from "./tcp-proxy.ts";
import { WebSocketMessages } from "./web-socket-messages.ts";

let server: WebSocketServer;
let proxy: TcpProxy;
let client: WebSocket;
let answering: WebSocket;
let bytes: Record<Direction, Uint8Array[]>;

/** A real WebSocket through the proxy, whose bytes are kept. */
beforeAll(async () => {
  bytes = { toTarget: [], fromTarget: [] };
  server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("The server does not listen.");
  const onConnected = new Promise<WebSocket>((resolve) => server.once("connection", resolve));
  proxy = await TcpProxy.listen({
    targetPort: () => address.port,
    onBytes: (passage) => bytes[passage.direction].push(passage.bytes),
  });
  client = new WebSocket(`ws://127.0.0.1:${proxy.port}`, { perMessageDeflate: false });
  [answering] = await Promise.all([onConnected, once(client, "open")]);
});

afterAll(async () => {
  client.terminate();
  await proxy.close();
  await new Promise((resolve) => server.close(resolve));
});

const sizes = [0, 1, 125, 126, 127, 65_535, 65_536, 300_000];
const texts = ["{}", "日本 🏳️‍🌈", ...sizes.map((length) => "x".repeat(length))];

/** What a reader of this direction finds, given its bytes in pieces of this size. */
function read(direction: Direction, pieceBytes: number): string[] {
  const messages = new WebSocketMessages();
  const all = Buffer.concat(bytes[direction]);
  const found: string[] = [];
  for (let at = 0; at < all.length; at += pieceBytes) found.push(...messages.push(all.subarray(at, at + pieceBytes)));
  return found;
}

/** Sends these texts, with a ping and a binary message among them, and resolves when the other side has all. */
async function send(from: WebSocket, to: WebSocket): Promise<void> {
  const received = new Promise<void>((resolve) => {
    let left = texts.length + 2;
    to.on("message", () => {
      left -= 1;
      if (left === 0) resolve();
    });
  });
  from.send(Buffer.from([1, 2, 3]));
  from.ping();
  for (const text of texts) from.send(text);
  from.send("in ", { fin: false });
  from.send("fragments", { fin: true });
  await received;
}

test.each<[what: string, direction: Direction]>([
  ["a client, which masks", "toTarget"],
  ["a server", "fromTarget"],
])("every text of %s is read as it was sent, however the bytes are cut", async (_what, direction) => {
  await (direction === "toTarget" ? send(client, answering) : send(answering, client));
  const expected = [...texts, "in fragments"];
  for (const pieceBytes of [1_000_000, 4_096, 997]) expect(read(direction, pieceBytes)).toEqual(expected);
});

test("bytes that are no WebSocket's are refused", () => {
  const messages = new WebSocketMessages();
  expect(messages.push(Buffer.from("HTTP/1.1 101 Switching Protocols\r\n\r\n"))).toEqual([]);
  expect(() => messages.push(Buffer.from("HTTP/1.1"))).toThrow("extension");
});
