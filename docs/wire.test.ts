import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { helloFrameSchema, pullFrameSchema } from "../core/wire/node-frame.ts";
import { heartbeatText } from "../core/wire/protocol.ts";
import { wireDocs, wireSchemas } from "./wire-docs.ts";

const committed = readFileSync(join(import.meta.dirname, "WIRE.md"), "utf8");

test("docs/WIRE.md is what the schemas say: after a change run npm run wire:docs", async () => {
  expect(await wireDocs()).toBe(committed);
});

describe("a change of the wire", () => {
  const changed = (change: (frame: z.ZodObject) => z.ZodObject) => ({
    ...wireSchemas,
    nodeFrames: wireSchemas.nodeFrames.map(change),
  });
  const instead = (frame: z.ZodObject, other: z.ZodObject) => changed((each) => (each === frame ? other : each));

  test.each<[what: string, schemas: typeof wireSchemas]>([
    ["another bound", instead(pullFrameSchema, pullFrameSchema.extend({ creditsTotal: z.int().min(1).max(5) }))],
    [
      "a field that may be left out",
      instead(pullFrameSchema, pullFrameSchema.extend({ model: z.string().optional() })),
    ],
    ["frames in another order", { ...wireSchemas, routerFrames: wireSchemas.routerFrames.toReversed() }],
  ])("shows in the document: %s", async (_what, schemas) => {
    expect(await wireDocs(schemas)).not.toBe(committed);
  });

  test("needs words: a field without any is refused by name", async () => {
    const schemas = instead(helloFrameSchema, helloFrameSchema.extend({ mood: z.string() }));
    await expect(wireDocs(schemas)).rejects.toThrow("hello.mood has no words");
  });

  test("takes its words along: those of a field that is gone are refused by name", async () => {
    const schemas = instead(helloFrameSchema, helloFrameSchema.omit({ invite: true }));
    await expect(wireDocs(schemas)).rejects.toThrow("words without a field: hello.invite");
  });

  test("may not bring a frame without words", async () => {
    const gossip = z.strictObject({ type: z.literal("gossip") });
    const schemas = { ...wireSchemas, routerFrames: [...wireSchemas.routerFrames, gossip] };
    await expect(wireDocs(schemas)).rejects.toThrow("the frame gossip has no words");
  });
});

test("a heartbeat stands in the document as it must be sent, and in no other spelling", () => {
  expect(committed.split(`\n${heartbeatText}\n`)).toHaveLength(4);
  expect(committed.match(/\{\s*"type":\s*"heartbeat"\s*\}/g)).toEqual([heartbeatText, heartbeatText, heartbeatText]);
});

test("every link within the document has its place", () => {
  const places = [...committed.matchAll(/^#+ (.+)$/gm)].map(([, title]) =>
    (title ?? "").replaceAll("`", "").toLowerCase().replaceAll(" ", "-"),
  );
  const links = [...committed.matchAll(/\]\(#([^)]+)\)/g)].map(([, link]) => link);
  expect(links.length).toBeGreaterThan(10);
  for (const link of links) expect(places).toContain(link);
});
