/** A comment this often while nothing else is sent: it is how a half-closed connection is noticed. */
const keepAliveMs = 500;

/** Where a stream's producer writes; each text is one event's `data`. */
export interface SseWriter {
  data(json: unknown): void;
  /** OpenAI's last event, `[DONE]`. */
  done(): void;
}

/**
 * A server-sent event stream (WHATWG HTML §9.2) that `produce` fills. `onGone` is called when the reader goes away
 * before the end; `produce` must not throw: what fails is an event of its own.
 */
export function sseResponse(
  produce: (writer: SseWriter) => Promise<void>,
  { onGone, headers }: { onGone: () => void; headers?: HeadersInit },
): Response {
  const encoder = new TextEncoder();
  let timer: ReturnType<typeof setInterval> | null = null;
  let isGone = false;
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      let sentAtMs = Date.now();
      const write = (text: string) => {
        // What was under way when the reader left is nobody's any more.
        if (isGone) return;
        sentAtMs = Date.now();
        controller.enqueue(encoder.encode(text));
      };
      timer = setInterval(() => {
        if (Date.now() - sentAtMs >= keepAliveMs) write(": keep-alive\n\n");
      }, keepAliveMs);
      const writer: SseWriter = {
        data: (json) => write(`data: ${JSON.stringify(json)}\n\n`),
        done: () => write("data: [DONE]\n\n"),
      };
      produce(writer)
        .then(() => {
          if (!isGone) controller.close();
        })
        .catch((error: unknown) => controller.error(error))
        .finally(() => clearInterval(timer));
    },
    cancel() {
      isGone = true;
      clearInterval(timer);
      onGone();
    },
  });
  return new Response(body, {
    headers: {
      ...Object.fromEntries(new Headers(headers)),
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-cache, no-transform",
    },
  });
}
