import { expect, test } from "vitest";
import { docsPage } from "./docs-page.ts";

const example = { model: "m", messages: [{ role: "user", content: "Hello" }] };
const text = { type: "string" };
/** In the shape that `document.ts` gives. */
const reference = {
  paths: {
    "/v1/chat/completions": {
      post: {
        tags: ["Chat"],
        summary: "Ask",
        requestBody: { content: { "application/json": { schema: {}, example } } },
      },
    },
    "/v1/responses/{id}/input_items": {
      get: {
        ...{ tags: ["Responses"], summary: "What was asked" },
        parameters: [
          { name: "id", in: "path", schema: text },
          { name: "limit", in: "query", schema: text },
          { name: "after", in: "query", schema: text },
        ],
      },
    },
  },
};

/** As much of an element as the page's script touches. */
class FakeElement {
  [property: string]: unknown;
  readonly children: unknown[] = [];
  textContent = "";
  value = "";

  append(...children: unknown[]): void {
    this.children.push(...children);
  }

  /** Those within it that satisfy this. */
  all(matches: (element: FakeElement) => boolean): FakeElement[] {
    return this.children.flatMap((child) =>
      child instanceof FakeElement ? [...(matches(child) ? [child] : []), ...child.all(matches)] : [],
    );
  }

  one(matches: (element: FakeElement) => boolean): FakeElement {
    const [first] = this.all(matches);
    if (first === undefined) throw new Error("there is no such element");
    return first;
  }
}

interface Sent {
  url: string;
  method?: string;
  headers?: Record<string, string>;
  body?: unknown;
}

/** Runs the page's script as a browser would, and returns what it drew and all that it fetched. */
async function openPage(answer: string): Promise<{ drawn: FakeElement; sent: Sent[] }> {
  const script = /<script type="module">([\s\S]*)<\/script>/.exec(String(await docsPage()))?.[1] ?? "";
  const drawn = new FakeElement();
  const key = Object.assign(new FakeElement(), { value: "sk-secret" });
  const document = {
    createElement: (tag: string) => Object.assign(new FakeElement(), { tag }),
    getElementById: (id: string) => (id === "key" ? key : drawn),
  };
  const sent: Sent[] = [];
  const fakeFetch = async (url: string, init: Omit<Sent, "url"> = {}) => {
    sent.push({ url, ...init });
    if (url === "openapi.json") return Response.json(reference);
    return new Response(answer, { headers: { "x-request-id": "req_1" } });
  };
  const AsyncFunction: FunctionConstructor = Object.getPrototypeOf(async () => {}).constructor;
  await new AsyncFunction("document", "fetch", script)(document, fakeFetch);
  return { drawn, sent };
}

/** The form of an operation. */
const formOf = (drawn: FakeElement, method: string, path: string) =>
  drawn.one(
    (element) =>
      element.tag === "details" &&
      element.all((inner) => inner.className === "method" && inner.textContent === method).length === 1 &&
      element.all((inner) => inner.tag === "code" && inner.textContent === path).length === 1,
  );

async function press(form: FakeElement): Promise<FakeElement> {
  const { onclick } = form.one(({ tag }) => tag === "button");
  if (typeof onclick !== "function") throw new Error("the button does nothing");
  await onclick();
  return form.one(({ tag }) => tag === "pre");
}

test("the page has a form for every operation, and sends its example with the key, and shows the answer as it came", async () => {
  const { drawn, sent } = await openPage("data: hello\n\n");
  const form = formOf(drawn, "post", "/v1/chat/completions");
  const answer = await press(form);
  expect(sent[1]).toMatchObject({ url: "v1/chat/completions", method: "POST" });
  expect(sent[1]?.headers).toMatchObject({ authorization: "Bearer sk-secret", "content-type": "application/json" });
  expect(JSON.parse(String(sent[1]?.body))).toEqual(example);
  expect(answer.textContent).toBe("200 req_1\n\ndata: hello\n\n");
});

test("what is filled in goes into the path and the query, and nothing that was left empty", async () => {
  const { drawn, sent } = await openPage("{}");
  const form = formOf(drawn, "get", "/v1/responses/{id}/input_items");
  const inputs = form.all(({ tag }) => tag === "input");
  const [id, limit] = inputs;
  Object.assign(id ?? {}, { value: "a/b" });
  Object.assign(limit ?? {}, { value: "5" });
  await press(form);
  expect(inputs.length).toBe(3);
  expect(sent[1]).toMatchObject({ url: "v1/responses/a%2Fb/input_items?limit=5", method: "GET", body: undefined });
});
