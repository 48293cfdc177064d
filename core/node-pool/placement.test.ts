import { describe, expect, test } from "vitest";
import { rememberedConversations } from "./affinity.ts";
import { expectedFirstTokenMs } from "./expected-time.ts";
import { claim, leave, offer, type Word } from "./node-pool.ts";
import { attempt, draws, first, node, poolOf, ticket, word } from "./pool.fixture.ts";

const whom = (name: string) => ({ kind: "lease", nodeId: node(name) });
const busyOf = (room: number) => expectedFirstTokenMs({ slots: 4, tokensPerSecond: 10, firstTokenMs: 100 }, room);

describe("the expected time to a first token", () => {
  test.each<[guarantee: string, expectedMs: number, asMs: number]>([
    ["of an idle node is what was measured", busyOf(4), 100],
    ["grows with what runs, to twice as much for a full node", busyOf(0), 200],
    ["of more room than slots is that of an idle node", busyOf(9), 100],
    [
      "is eight tokens' time where nothing was measured",
      expectedFirstTokenMs({ slots: 1, tokensPerSecond: 40, firstTokenMs: null }, 1),
      200,
    ],
    [
      "of a node without a speed is that of a very slow one",
      expectedFirstTokenMs({ slots: 1, tokensPerSecond: 0, firstTokenMs: null }, 1),
      8_000,
    ],
  ])("%s", (_guarantee, expectedMs, asMs) => {
    expect(expectedMs).toBe(asMs);
  });
});

describe("of two nodes drawn", () => {
  const fast = { free: 4, firstTokenMs: 100 };
  test.each<
    [guarantee: string, a: Partial<Word> & { free: number }, b: Partial<Word> & { free: number }, chosen: string]
  >([
    ["the less busy one is taken", { free: 1 }, { free: 3 }, "b"],
    ["the one measured faster is taken", { free: 4, firstTokenMs: 300 }, fast, "b"],
    [
      "a fast one that is busy loses to an idle one a little slower",
      { ...fast, free: 1 },
      { free: 4, firstTokenMs: 150 },
      "b",
    ],
    [
      "a fast one that is busy wins over an idle one twice as slow",
      { ...fast, free: 1 },
      { free: 4, firstTokenMs: 200 },
      "a",
    ],
    ["one that nobody has measured goes by its speed", { free: 4, tokensPerSecond: 100 }, fast, "a"],
    ["equal ones go by the draw", { free: 2 }, { free: 2 }, "a"],
  ])("%s", (_guarantee, a, b, chosen) => {
    expect(claim(poolOf({ a, b }), ticket("t1"), 1, draws(0, 0))).toEqual(whom(chosen));
  });

  test("both are different, whatever the draw", () => {
    for (const share of [0, 0.3, 0.5, 0.99]) {
      const pool = poolOf({ slow: { free: 4, firstTokenMs: 900 }, fast });
      expect(claim(pool, ticket("t1"), 1, draws(share, share))).toEqual(whom("fast"));
    }
  });

  test("neither is one that has no room or is excluded", () => {
    for (const share of [0, 0.5, 0.99]) {
      const pool = poolOf({ full: 0, bad: fast, good: { free: 1, firstTokenMs: 900 } });
      expect(claim(pool, ticket("t1", { exclude: ["bad"] }), 1, draws(share, share))).toEqual(whom("good"));
    }
  });
});

describe("a conversation", () => {
  const turn = (name: string, affinity = "talk") => ticket(name, { affinity });

  /** A pool in which `a` had the conversation's last turn and says now what it has. */
  function poolAfter(
    a: Partial<Word> & { free: number },
    others: Record<string, number | (Partial<Word> & { free: number })>,
  ) {
    const pool = poolOf({ a: 4 });
    claim(pool, turn("t0"), 1, first);
    offer(pool, { ...word("a", a.free, { taken: ["t0"] }), ...a }, 2, first);
    for (const [name, said] of Object.entries(others)) {
      const { free, ...fields } = typeof said === "number" ? { free: said } : said;
      offer(pool, { ...word(name, free), ...fields }, 2, first);
    }
    return pool;
  }

  test.each<
    [guarantee: string, a: Partial<Word> & { free: number }, b: Partial<Word> & { free: number }, chosen: string]
  >([
    ["goes back to its node where all are idle", { free: 4 }, { free: 4 }, "a"],
    ["goes back to its node when that is half full and another idle", { free: 2 }, { free: 4 }, "a"],
    ["leaves its node when that is more than half full and another idle", { free: 1 }, { free: 4 }, "b"],
    ["stays with a node almost full where the other is half full", { free: 1 }, { free: 2 }, "a"],
    ["stays with a node that is a half slower", { free: 4, firstTokenMs: 150 }, { free: 4, firstTokenMs: 100 }, "a"],
    ["leaves a node that is slower than that", { free: 4, firstTokenMs: 151 }, { free: 4, firstTokenMs: 100 }, "b"],
    ["leaves a node without room", { free: 0 }, { free: 1 }, "b"],
    ["leaves a node put aside", { free: 4, asideUntilMs: 9_000 }, { free: 1 }, "b"],
  ])("%s", (_guarantee, a, b, chosen) => {
    expect(claim(poolAfter(a, { b }), turn("t1"), 3, first)).toEqual(whom(chosen));
  });

  test("leaves a node that it excludes or avoids", () => {
    for (const unwanted of [{ exclude: ["a"] }, { avoid: ["a"] }]) {
      const pool = poolAfter({ free: 4 }, { b: 1 });
      expect(claim(pool, ticket("t1", { affinity: "talk", ...unwanted }), 3, first)).toEqual(whom("b"));
    }
  });

  test("leaves a node that has left the pool, and finds it again when it is back", () => {
    const pool = poolAfter({ free: 4 }, { b: 4 });
    leave(pool, node("a"), 3, first);
    expect(claim(pool, turn("t1", "other"), 3, first)).toEqual(whom("b"));
    offer(pool, word("a", 4), 4, first);
    expect(claim(pool, turn("t2"), 5, first)).toEqual(whom("a"));
  });

  test("goes to where its last turn went, also when that came out of the queue", () => {
    const pool = poolAfter({ free: 0 }, { b: 0 });
    claim(pool, turn("t1"), 3, first);
    expect(offer(pool, word("b", 4), 4, first)).toMatchObject([{ attemptId: attempt("t1"), nodeId: node("b") }]);
    offer(pool, word("a", 4), 5, first);
    for (const name of ["t2", "t3"]) expect(claim(pool, turn(name), 6, draws(0.9, 0))).toEqual(whom("b"));
  });

  test("is forgotten when ten thousand others were heard of since", () => {
    const busy = { slots: 20_000, free: 20_000 };
    const pool = poolOf({ a: busy });
    claim(pool, turn("t0"), 1, first);
    for (let talk = 1; talk < rememberedConversations; talk += 1)
      claim(pool, turn(`t${talk}`, `talk ${talk}`), 1, first);
    expect(pool.affinity.byKey.get("talk")?.nodeId).toBe(node("a"));
    claim(pool, turn("more", "one more"), 1, first);
    expect(pool.affinity.byKey.has("talk")).toBe(false);
    expect(pool.affinity.byKey.size).toBe(rememberedConversations);
  });

  test("that is heard of again is not the first to be forgotten", () => {
    const pool = poolOf({ a: { slots: 20_000, free: 20_000 } });
    for (let talk = 0; talk < rememberedConversations; talk += 1)
      claim(pool, turn(`t${talk}`, `talk ${talk}`), 1, first);
    claim(pool, turn("again", "talk 0"), 1, first);
    claim(pool, turn("more", "one more"), 1, first);
    expect([pool.affinity.byKey.has("talk 0"), pool.affinity.byKey.has("talk 1")]).toEqual([true, false]);
  });
});

describe("a node put aside", () => {
  const aside = (free: number) => ({ free, asideUntilMs: 9_000 });

  test.each<
    [guarantee: string, others: Record<string, number>, fields: Parameters<typeof ticket>[1], expected: object]
  >([
    ["gets nothing while another has room", { b: 1 }, {}, whom("b")],
    ["gets nothing while another is merely busy", { b: 0 }, {}, { kind: "wait" }],
    ["gets work where nobody else lives", {}, {}, whom("a")],
    ["gets work where every other is excluded", { b: 1 }, { exclude: ["b"] }, whom("a")],
    ["gets work before a node that is avoided", { b: 1 }, { avoid: ["b"] }, whom("a")],
    ["gets nothing where it is excluded itself", {}, { exclude: ["a"] }, { kind: "refuse", code: "no_live_node" }],
  ])("%s", (_guarantee, others, fields, expected) => {
    expect(claim(poolOf({ a: aside(1), ...others }), ticket("t1", fields), 1, first)).toEqual(expected);
  });

  test("is as any other when its time is over", () => {
    const pool = poolOf({ a: aside(1), b: 0 });
    offer(pool, word("b", 0), 8_000, first);
    offer(pool, word("a", 1, { asideUntilMs: 9_000 }), 8_000, first);
    expect(claim(pool, ticket("t1"), 9_000, first)).toEqual(whom("a"));
  });

  test("serves who waits as soon as the last other leaves", () => {
    const pool = poolOf({ a: aside(1), b: 0 });
    for (const name of ["t1", "t2"]) claim(pool, ticket(name), 1, first);
    expect(leave(pool, node("b"), 2, first)).toEqual([{ attemptId: attempt("t1"), ...whom("a") }]);
  });

  test("serves who waits as soon as the last other is put aside too", () => {
    const pool = poolOf({ a: aside(1), b: 0 });
    claim(pool, ticket("t1"), 1, first);
    const settled = offer(pool, word("b", 0, { asideUntilMs: 9_000 }), 2, first);
    expect(settled).toEqual([{ attemptId: attempt("t1"), ...whom("a") }]);
  });

  test("with room of its own lets those wait who may have another", () => {
    const pool = poolOf({ a: aside(0), b: 0 });
    claim(pool, ticket("t1"), 1, first);
    claim(pool, ticket("t2", { exclude: ["b"] }), 1, first);
    const settled = offer(pool, word("a", 2, { asideUntilMs: 9_000 }), 2, first);
    expect(settled).toEqual([{ attemptId: attempt("t2"), ...whom("a") }]);
  });
});

describe("a node that is avoided", () => {
  test.each<[guarantee: string, room: Record<string, number>, fields: Parameters<typeof ticket>[1], expected: object]>([
    ["is not taken while another has room", { a: 4, b: 1 }, {}, whom("b")],
    ["is not taken while another is merely busy", { a: 4, b: 0 }, {}, { kind: "wait" }],
    ["is taken where nobody else lives", { a: 1 }, {}, whom("a")],
    ["is taken where all others are excluded", { a: 1, b: 1 }, { exclude: ["b"] }, whom("a")],
    ["is never taken where it is excluded too", { a: 1 }, { exclude: ["a"] }, { kind: "refuse", code: "no_live_node" }],
    ["is waited for where it is busy and nobody else lives", { a: 0 }, {}, { kind: "wait" }],
  ])("%s", (_guarantee, room, fields, expected) => {
    expect(claim(poolOf(room), ticket("t1", { avoid: ["a"], ...fields }), 1, first)).toEqual(expected);
  });

  test("serves who waits as soon as the last other leaves", () => {
    const pool = poolOf({ a: 1, b: 0 });
    claim(pool, ticket("t1", { avoid: ["a"] }), 1, first);
    expect(leave(pool, node("b"), 2, first)).toEqual([{ attemptId: attempt("t1"), ...whom("a") }]);
  });

  test("serves who waits when it comes back and is alone", () => {
    const pool = poolOf({ a: 0 });
    claim(pool, ticket("t1", { avoid: ["a"], isPatient: true }), 1, first);
    expect(offer(pool, word("a", 1), 2, first)).toEqual([{ attemptId: attempt("t1"), ...whom("a") }]);
  });

  test("of several the soonest is taken", () => {
    const pool = poolOf({ a: { free: 4, firstTokenMs: 300 }, b: { free: 4, firstTokenMs: 100 }, c: 0 });
    expect(claim(pool, ticket("t1", { avoid: ["a", "b", "c"] }), 1, first)).toEqual(whom("b"));
  });
});
