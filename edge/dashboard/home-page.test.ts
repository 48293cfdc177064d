import { expect, test } from "vitest";
import { modelCardSchema } from "../../core/model/model-card.ts";
import type { ServedModel } from "../objects/status-object.ts";
import { homePage } from "./home-page.ts";

const origin = "https://router.test";

function served(id: string, fields: Partial<Omit<ServedModel, "card" | "id">> & { kind?: "chat" | "embedding" } = {}) {
  const { kind = "chat", ...counts } = fields;
  const card = modelCardSchema.parse({
    name: "any",
    fileSha256: "a".repeat(64),
    kind,
    sizeBytes: 1,
    quantization: "Q4_1",
    architecture: "llama",
    contextTokens: 2_048,
    slots: 4,
    tokensPerSecond: 10,
  });
  const model: ServedModel = {
    id,
    card,
    liveNodes: 1,
    slots: 4,
    freeSlots: 3,
    waiting: 7,
    shards: 1,
    atMs: 0,
    firstSeenAtMs: 0,
    ...counts,
  };
  return model;
}

const page = async (models: ServedModel[], from = origin) => String(await homePage({ models, origin: from }));

test("a router without nodes says how to join one", async () => {
  const html = await page([]);
  expect(html).toContain("No node has connected yet");
  expect(html).toContain(`cortensor-node start --router ${origin} --token inv-`);
  expect(html).not.toContain("<table>");
});

test("each model has a row with its kind, context, nodes, room and queue", async () => {
  const html = await page([served("one", { liveNodes: 2 }), served("two", { kind: "embedding" })]);
  const rows = [...html.matchAll(/<tr>\s*<td>.*?<\/tr>/gs)].map(([row]) => row.replace(/<[^>]*>|\s+/g, " "));
  expect(rows.map((row) => row.split(/\s+/).filter(Boolean))).toEqual([
    ["one", "chat", "2048", "2", "3", "/", "4", "7"],
    ["two", "embedding", "2048", "1", "3", "/", "4", "7"],
  ]);
});

test("the request to try names a live chat model of this router", async () => {
  const html = await page([
    served("gone", { liveNodes: 0 }),
    served("vectors", { kind: "embedding" }),
    served("talks"),
  ]);
  const pre = /<pre>(.*)<\/pre>/s.exec(html)?.[1] ?? "";
  expect(pre).toContain(`${origin}/v1/chat/completions`);
  expect(pre.replaceAll("&quot;", '"')).toContain('"model": "talks"');
});

test("a model without a live node is shown as gone", async () => {
  expect(await page([served("gone", { liveNodes: 0 })])).toContain('<td class="number gone">0</td>');
});

test("a model's name is text and never markup", async () => {
  const name = '<script>alert("x")</script>&amp;';
  const html = await page([served(name)]);
  expect(html).not.toContain("<script");
  expect(html).toContain("&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;&amp;amp;");
});

test("the router's own address is text and never markup", async () => {
  expect(await page([], "https://<b>")).not.toContain("<b>");
});
