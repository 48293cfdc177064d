import { z } from "zod";
import type { VendorSpec } from "./vendor-specs.ts";

const bodySchema = z.looseObject({});

/** Which schema each answer of a path must fit. */
export interface AnswerSchemas {
  /** Of a whole body that is no error; null where the vendor describes none. */
  body?: string | null;
  error: string;
  /** Of each event of a stream: a name, or one for each event's `type`. */
  event?: string;
  /** What a body or an event is held as, where the description is known to be narrower than the vendor's own service. */
  heldAs?: (answer: object) => object;
}

/**
 * A `fetch` for a client under test, through which every JSON body and every event passes that the router answers, and is
 * held against the vendor's description. `schemasOf` says by method and path which schemas these are.
 */
export class WatchedFetch {
  readonly problems: string[] = [];
  /** The last value that fitted each schema, by its name. */
  readonly fitting = new Map<string, object>();
  readonly #spec: VendorSpec;
  readonly #schemasOf: (method: string, path: string) => AnswerSchemas;

  constructor(spec: VendorSpec, schemasOf: (method: string, path: string) => AnswerSchemas) {
    this.#spec = spec;
    this.#schemasOf = schemasOf;
  }

  readonly fetch: typeof fetch = async (input, init) => {
    const response = await fetch(input, init);
    const url = new URL(input instanceof Request ? input.url : input);
    const schemas = this.#schemasOf(init?.method ?? "GET", url.pathname);
    const type = response.headers.get("content-type") ?? "";
    if (type.startsWith("text/event-stream")) return this.#watchStream(response, schemas, url.pathname);
    if (!type.startsWith("application/json")) return response;
    const text = await response.text();
    const schema = response.ok ? schemas.body : schemas.error;
    if (schema === undefined) this.problems.push(`${url.pathname} has no schema for a body`);
    else if (schema !== null) {
      const body = bodySchema.parse(JSON.parse(text));
      this.#hold(schema, response.ok ? (schemas.heldAs?.(body) ?? body) : body, url.pathname);
    }
    return new Response(text, response);
  };

  /** The client reads what the router sent, piece by piece; the events are put together beside it. */
  #watchStream(response: Response, schemas: AnswerSchemas, path: string): Response {
    const decoder = new TextDecoder();
    let rest = "";
    const watch = new TransformStream<Uint8Array, Uint8Array>({
      transform: (bytes, controller) => {
        controller.enqueue(bytes);
        rest += decoder.decode(bytes, { stream: true });
        const events = rest.split("\n\n");
        rest = events.pop() ?? "";
        for (const each of events) this.#holdEvent(each, schemas, path);
      },
      flush: () => {
        if (rest !== "") this.problems.push(`${path} ended within an event: ${rest.slice(0, 100)}`);
      },
    });
    return new Response(response.body?.pipeThrough(watch), response);
  }

  #holdEvent(text: string, { event, error, heldAs }: AnswerSchemas, path: string): void {
    const data = text
      .split("\n")
      .find((line) => line.startsWith("data: "))
      ?.slice("data: ".length);
    if (data === undefined || data === "[DONE]") return;
    const value: unknown = JSON.parse(data);
    if (typeof value !== "object" || value === null) throw new Error(`${path} sent an event that is no object`);
    // Anthropic's description leaves its pings out.
    if ("type" in value && value.type === "ping") return;
    const isError = "error" in value;
    if (isError) this.#hold(error, value, path);
    else if (event === undefined) this.problems.push(`${path} has no schema for an event`);
    else this.#hold(event, heldAs?.(value) ?? value, path);
  }

  /**
   * Which of the schemas that something fitted take it too when it is spoilt: without one of its members, or with a member
   * of another type. A description that takes everything proves nothing; empty where each schema refused some of them.
   */
  schemasThatTakeAll(): string[] {
    return [...this.fitting].flatMap(([schema, value]) => {
      const spoilt = Object.keys(value).flatMap((name) => {
        const { [name]: _, ...without }: Record<string, unknown> = { ...value };
        return [without, { ...value, [name]: { spoilt: [1] } }];
      });
      const refused = spoilt.filter((each) => this.#spec.problems(schema, each).length > 0);
      return refused.length > 1 ? [] : [schema];
    });
  }

  #hold(schema: string, value: object, path: string): void {
    const problems = this.#spec.problems(schema, value);
    if (problems.length === 0) this.fitting.set(this.#spec.variantOf(schema, value), value);
    for (const problem of problems) {
      this.problems.push(`${path}: ${problem}: ${JSON.stringify(value).slice(0, 600)}`);
    }
  }
}
