/** A comment is sent after this much silence: it is how a half-closed connection is noticed. */
const keepAliveMs = 500;

const encoder = new TextEncoder();

/** OpenAI's last event. */
export const sseDone = "data: [DONE]\n\n";

/** One event (WHATWG HTML §9.2) whose data is this JSON text, which has no line breaks. */
export function sseEvent(json: string): string {
  return `data: ${json}\n\n`;
}

/** One event with a name, which is also its data's `type`. */
export function sseNamedEvent(name: string, data: object): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}

type ExtraHeaders = Readonly<Record<string, string>>;

/**
 * A server-sent event stream that `produce` fills: what it writes at once goes out as one piece. `onGone` is called
 * when the reader goes away before the end; `produce` must not throw: what fails is an event of its own.
 */
export function sseResponse(
  produce: (write: (events: string) => void) => Promise<void>,
  { onGone, headers }: { onGone: () => void; headers?: ExtraHeaders },
): Response {
  let timer: ReturnType<typeof setTimeout> | null = null;
  let isGone = false;
  const body = new ReadableStream({
    type: "bytes",
    start(controller) {
      let sentAtMs = Date.now();
      const write = (events: string) => {
        // What was under way when the reader left is nobody's any more.
        if (isGone || events === "") return;
        sentAtMs = Date.now();
        controller.enqueue(encoder.encode(events));
      };
      // One timer that looks back, rather than one that every event sets anew.
      const keepAlive = () => {
        if (Date.now() - sentAtMs >= keepAliveMs) write(": keep-alive\n\n");
        timer = setTimeout(keepAlive, Math.max(1, keepAliveMs - (Date.now() - sentAtMs)));
      };
      timer = setTimeout(keepAlive, keepAliveMs);
      produce(write)
        .then(() => {
          if (!isGone) controller.close();
        })
        .catch((error: unknown) => controller.error(error))
        .finally(() => clearTimeout(timer));
    },
    cancel() {
      isGone = true;
      clearTimeout(timer);
      onGone();
    },
  });
  return new Response(body, { headers: headersWith(headers) });
}

/** A stream whose events are all there already. */
export function sseWhole(events: string, headers?: ExtraHeaders): Response {
  return new Response(events, { headers: headersWith(headers) });
}

function headersWith(headers: ExtraHeaders | undefined): ExtraHeaders {
  return {
    ...headers,
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache, no-transform",
  };
}
