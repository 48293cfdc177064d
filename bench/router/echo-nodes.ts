import WebSocket from "ws";
import { z } from "zod";

/**
 * The echo's other end: `ROUTER` (an origin) is dialled by `SOCKETS` nodes, from `node-0` on, and each message goes back as it came.
 * Prints `{"ready":true,"port":0}` once all are open; ends when its standard input closes.
 */
const router = z.url().parse(process.env.ROUTER);
const sockets = z.coerce.number().int().min(1).max(10_000).parse(process.env.SOCKETS);
process.stdin.on("close", () => process.exit(0)).resume();
const opened = Array.from({ length: sockets }, (_, index) => {
  const url = new URL(`/connect?node=node-${index}`, router);
  url.protocol = "ws:";
  const socket = new WebSocket(url, { perMessageDeflate: false });
  socket.on("message", (message) => socket.send(message.toString()));
  return new Promise<void>((resolve, reject) => {
    socket.once("open", resolve);
    socket.once("error", reject);
  });
});
await Promise.all(opened);
console.log(JSON.stringify({ ready: true, port: 0 }));
