import { setImmediate, setTimeout } from "node:timers/promises";
import WebSocket from "ws";
import { z } from "zod";
import type { EchoPieces } from "./echo-pieces.ts";
import { mockModels, mockPacesMs, pieceText } from "./mock-answer.ts";

/**
 * The echo's other end: `ROUTER` (an origin) is dialled by `SOCKETS` nodes, from `node-0` on. A message that asks for a
 * stream is answered as the mock model would, in server-sent events made here; any other goes back as it came.
 * Prints `{"ready":true,"port":0}` once all are open; ends when its standard input closes.
 */
const router = z.url().parse(process.env.ROUTER);
const sockets = z.coerce.number().int().min(1).max(10_000).parse(process.env.SOCKETS);
const askedSchema = z.object({ model: z.enum(mockModels), max_tokens: z.int(), stream: z.literal(true) });
process.stdin.on("close", () => process.exit(0)).resume();

const opened = Array.from({ length: sockets }, (_, index) => {
  const url = new URL(`/connect?node=node-${index}`, router);
  url.protocol = "ws:";
  const socket = new WebSocket(url, { perMessageDeflate: false });
  const send = gathering(socket);
  socket.on("message", (message) => {
    const text = message.toString();
    if (text.includes('"stream":true')) void answer(text, send);
    else socket.send(text);
  });
  return new Promise<void>((resolve, reject) => {
    socket.once("open", resolve);
    socket.once("error", reject);
  });
});
await Promise.all(opened);
console.log(JSON.stringify({ ready: true, port: 0 }));

async function answer(message: string, send: (piece: EchoPieces[number]) => void): Promise<void> {
  const space = message.indexOf(" ");
  const id = Number(message.slice(0, space));
  const { model, max_tokens: pieces } = askedSchema.parse(JSON.parse(message.slice(space + 1)));
  const paceMs = mockPacesMs[model];
  for (let number = 0; number < pieces; number += 1) {
    if (number > 0) await (paceMs === 0 ? setImmediate() : setTimeout(paceMs));
    const chunk = { model, choices: [{ index: 0, delta: { content: pieceText(number) }, finish_reason: null }] };
    send([id, `data: ${JSON.stringify(chunk)}\n\n`, false]);
  }
  send([id, "data: [DONE]\n\n", true]);
}

/** Sends what comes within one turn of the event loop as one message, as a node does. */
function gathering(socket: WebSocket): (piece: EchoPieces[number]) => void {
  let pieces: EchoPieces = [];
  return (piece) => {
    pieces.push(piece);
    if (pieces.length > 1) return;
    void setImmediate().then(() => {
      socket.send(JSON.stringify(pieces));
      pieces = [];
    });
  };
}
