import type { z } from "zod";
import { limits } from "../../../core/limits.ts";
import { readEvents } from "./event-stream.ts";
import { UpstreamError } from "./upstream-error.ts";

interface Question {
  /** Sent as JSON by POST; without it the request is a GET. */
  body?: unknown;
  signal?: AbortSignal | undefined;
}

/**
 * An upstream's HTTP API. `url` may end in `/v1`, as OpenAI clients have it; paths begin with a slash and name the
 * whole path from the server's own root. Everything that goes wrong is an {@link UpstreamError}, but an abort: then
 * the signal's reason is thrown.
 */
export class UpstreamHttp {
  readonly #root: string;
  readonly #headers: Record<string, string>;

  constructor({ url, key }: { url: URL; key: string | undefined }) {
    this.#root = `${url.origin}${url.pathname.replace(/\/+$/, "").replace(/\/v1$/, "")}`;
    this.#headers = {
      "content-type": "application/json",
      ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
    };
  }

  get root(): string {
    return this.#root;
  }

  /** The answer as `schema` reads it, within `timeoutMs`. */
  async json<T>(
    path: string,
    { schema, timeoutMs, signal, body }: Question & { schema: z.ZodType<T>; timeoutMs: number },
  ): Promise<T> {
    const timeout = AbortSignal.timeout(timeoutMs);
    const signals = signal === undefined ? timeout : AbortSignal.any([signal, timeout]);
    return this.#guarded(path, signal, async () => {
      const response = await this.#send(path, { body, signal: signals });
      return parsed(path, await response.text(), schema);
    });
  }

  /**
   * The events of a streamed answer as `schema` reads them, until `[DONE]` or the stream's end. Ends the request when
   * the reader leaves. A silence of `silenceMs` counts as broken.
   */
  async *events<T>(
    path: string,
    {
      schema,
      signal,
      body,
      silenceMs = limits.silenceMs,
    }: Question & { schema: z.ZodType<T>; signal: AbortSignal; silenceMs?: number },
  ): AsyncGenerator<T> {
    const silence = new AbortController();
    const fallSilent = () => silence.abort(new UpstreamError(`the upstream was silent for ${silenceMs} ms`));
    let timer = setTimeout(fallSilent, silenceMs);
    const signals = AbortSignal.any([signal, silence.signal]);
    const guard = <R>(action: () => Promise<R>) => this.#guarded(path, signal, action);
    try {
      const response = await guard(() => this.#send(path, { body, signal: signals }));
      if (response.body === null) throw new UpstreamError(`${path} answered without a body`);
      const events = readEvents(response.body);
      for (;;) {
        const { done, value } = await guard(() => events.next());
        if (done === true || value === "[DONE]") return;
        clearTimeout(timer);
        timer = setTimeout(fallSilent, silenceMs);
        yield parsed(path, value, schema);
      }
    } finally {
      clearTimeout(timer);
      // Closes the connection where the answer was left before its end, so that the upstream stops.
      silence.abort();
    }
  }

  async #send(path: string, { body, signal }: { body: unknown; signal: AbortSignal }): Promise<Response> {
    const response = await fetch(this.#root + path, {
      headers: this.#headers,
      signal,
      ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }),
    });
    if (response.ok) return response;
    const text = (await response.text()).slice(0, 300);
    throw new UpstreamError(`${path} answered ${response.status}: ${text}`, { status: response.status });
  }

  async #guarded<R>(path: string, signal: AbortSignal | undefined, action: () => Promise<R>): Promise<R> {
    try {
      return await action();
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof UpstreamError) throw error;
      throw new UpstreamError(`${path}: ${reasonOf(error)}`, { cause: error });
    }
  }
}

function parsed<T>(path: string, text: string, schema: z.ZodType<T>): T {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new UpstreamError(`${path} sent what is not JSON: ${text.slice(0, 100)}`, { status: 200, cause });
  }
  const { data, error } = schema.safeParse(json);
  if (error === undefined) return data;
  throw new UpstreamError(`${path} sent what is not understood: ${text.slice(0, 200)}`, { status: 200, cause: error });
}

/** `fetch` says "fetch failed" and has the reason in its cause. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message} (${error.cause.message})` : error.message;
}
