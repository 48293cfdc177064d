import { connect } from "node:net";

/**
 * Opens a stream over a connection of its own, reads its first text, and leaves: `reset` sends RST, `close` closes the
 * socket like a process that ended. Returns when it left, in milliseconds since the epoch.
 */
export function leaveStream(options: {
  origin: string;
  apiKey: string;
  prompt: string;
  model: string;
  how: "reset" | "close";
}): Promise<number> {
  const { origin, apiKey, prompt, model, how } = options;
  const { hostname, port, host } = new URL(origin);
  const body = JSON.stringify({
    model,
    messages: [{ role: "user", content: prompt }],
    max_tokens: 10_000,
    stream: true,
  });
  const request = [
    "POST /v1/chat/completions HTTP/1.1",
    `Host: ${host}`,
    "Content-Type: application/json",
    `Authorization: Bearer ${apiKey}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    "",
    body,
  ].join("\r\n");
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostname, port: Number(port) }, () => socket.write(request));
    let text = "";
    socket.setEncoding("utf8").on("data", (part: string) => {
      text += part;
      if (!text.includes('"content":"word0')) return;
      socket.removeAllListeners("data");
      if (how === "reset") socket.resetAndDestroy();
      else socket.destroy();
      resolve(Date.now());
    });
    socket.once("error", reject);
    socket.once("close", () => reject(new Error(`the stream ended before its first text: ${text.slice(0, 500)}`)));
  });
}
