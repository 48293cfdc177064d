import { beforeAll, describe, expect, test } from "vitest";
import type { AttemptId } from "../ids.ts";
import { LeaseWalk } from "../testing/lease-walk.ts";
import { pick, seededRandom } from "../testing/seeded-random.ts";
import { toyNodeId, toyStartMs, toyTask } from "../testing/toy-terms.ts";
import { LeaseBook } from "./lease-book.ts";
import type { LeaseEffect } from "./lease-effect.ts";

const steps = 1_000;
const seeds = Array.from({ length: 150 }, (_, index) => index + 1);

describe("whatever happens around a book", () => {
  const walks = seeds.map((seed) => ({ seed, walk: new LeaseWalk(seed) }));
  beforeAll(() => {
    for (const { walk } of walks) walk.run(steps);
  });

  test("its readers miss nothing, each attempt is on record once, and it comes to rest", () => {
    const faults = walks.flatMap(({ seed, walk }) => walk.faults.map((fault) => `seed ${seed}: ${fault}`));
    expect(faults).toEqual([]);
  });

  test.each([
    ...["tasks", "cuts", "half-open sockets", "resets", "fresh processes", "cancels", "readers gone"],
    ...[
      "attaches",
      "open",
      "over",
      "unknown",
      "goes on",
      "held back",
      "resume frames",
      "cancel frames",
      "acked frames",
    ],
    ...["committed", "failed", "completed", "queued", "cancelled"],
  ])("much of it happens: %s", (what) => {
    const times = walks.reduce((sum, { walk }) => sum + (walk.tally.get(what) ?? 0), 0);
    expect(times).toBeGreaterThan(50);
  });
});

/** Books with a mistake. */
const mistakes: Readonly<Record<string, (options: { hasSocket: boolean }) => LeaseBook>> = {
  "a piece that comes twice is told twice": (options) =>
    new (class extends LeaseBook {
      override delta(...of: Parameters<LeaseBook["delta"]>) {
        const effects = super.delta(...of);
        return [...effects, ...effects];
      }
    })(toyNodeId, options),
  "what was on its way before a resume is taken": (options) =>
    new (class extends LeaseBook {
      override attach(...of: Parameters<LeaseBook["attach"]>) {
        const attached = super.attach(...of);
        for (const lease of this.leases) lease.acksDue = 0;
        return attached;
      }
    })(toyNodeId, options),
  "the node is not asked for the pieces again": (options) =>
    new (class extends LeaseBook {
      override attach(...of: Parameters<LeaseBook["attach"]>) {
        const { attached, effects } = super.attach(...of);
        return { attached, effects: effects.filter(({ type }) => type !== "send") };
      }
    })(toyNodeId, options),
  "a welcome names what is held back as due": (options) =>
    new (class extends LeaseBook {
      override welcome(...of: Parameters<LeaseBook["welcome"]>) {
        const { leases, effects } = super.welcome(...of);
        return {
          effects,
          leases: leases.map(({ attemptId, nextSeq }) => ({ attemptId, nextSeq: (nextSeq ?? 0) + 1 })),
        };
      }
    })(toyNodeId, options),
  "a committed attempt is recorded twice": (options) =>
    new (class extends LeaseBook {
      override commit(...of: Parameters<LeaseBook["commit"]>) {
        const effects = super.commit(...of);
        return [...effects, ...effects.filter(({ type }) => type === "record")];
      }
    })(toyNodeId, options),
  "an end is told before it is on record": (options) =>
    new (class extends LeaseBook {
      override commit(...of: Parameters<LeaseBook["commit"]>) {
        return super.commit(...of).filter(({ type }) => type !== "record");
      }
    })(toyNodeId, options),
  "what a reader may not have is acked": (options) =>
    new (class extends LeaseBook {
      override tick(nowMs: number, lastSignMs: number): LeaseEffect[] {
        return super.tick(nowMs, lastSignMs);
      }
    })(toyNodeId, options),
  "a lease that was kept is kept again after a reset": (options) =>
    new (class extends LeaseBook {
      override recover(...of: Parameters<LeaseBook["recover"]>) {
        super.recover(...of);
        for (const lease of this.leases) lease.isKept = false;
      }
    })(toyNodeId, options),
  "a reset forgets the leases": (options) =>
    new (class extends LeaseBook {
      override recover(kept: Parameters<LeaseBook["recover"]>[0], nowMs: number) {
        super.recover({ ...kept, open: [] }, nowMs);
      }
    })(toyNodeId, options),
  "a lost socket goes unnoticed": (options) =>
    new (class extends LeaseBook {
      override socketLost(): LeaseEffect[] {
        return [];
      }
    })(toyNodeId, options),
  "signs of life are not counted": (options) =>
    new (class extends LeaseBook {
      override tick(nowMs: number, _lastSignMs: number, isBehind?: (attemptId: AttemptId) => boolean): LeaseEffect[] {
        return super.tick(nowMs, 0, isBehind);
      }
    })(toyNodeId, options),
  "a tick is asked for too late": (options) =>
    new (class extends LeaseBook {
      override nextTickMs(nowMs: number): number | undefined {
        const dueMs = super.nextTickMs(nowMs);
        return dueMs === undefined ? undefined : dueMs - 1;
      }
    })(toyNodeId, options),
};

test.each(Object.entries(mistakes))("the walk finds that %s", (_mistake, makeBook) => {
  const found = seeds.findIndex((seed) => new LeaseWalk(seed, makeBook).run(steps).length > 0);
  expect(found).toBeGreaterThanOrEqual(0);
});

/** All times are whole steps of this, and so is every deadline. */
const gridMs = 10;

/** Something that happens to a book; what it returns is compared. */
type Happening = (book: LeaseBook, nowMs: number) => unknown;

/** What happens when, and when the node gave signs: by chance, and not always as an honest node would have it. */
function chance(seed: number): { happenings: ReadonlyMap<number, Happening[]>; signs: ReadonlySet<number> } {
  const random = seededRandom(seed);
  const happenings = new Map<number, Happening[]>();
  const signs = new Set<number>();
  const tasks = [0, 1, 2, 3].map((number) => toyTask(number));
  const next = new Map(tasks.map(({ terms }) => [terms.attemptId, 0]));
  const anyHappening = (): Happening => {
    const { terms, task } = pick(tasks, random);
    const { attemptId } = terms;
    const seq = next.get(attemptId) ?? 0;
    const counts = { promptTokens: 3, completionTokens: seq };
    const reader = { attemptId, nextSeq: Math.max(0, seq - Math.floor(random() * 3)), vectors: [] };
    const held = { attemptId, firstSeq: 0, nextSeq: seq, completionTokens: seq, isEndSent: random() < 0.5 };
    const piece: Happening = (book, nowMs) => book.delta({ attemptId, seq, tokenIds: [1] }, nowMs);
    return pick<() => Happening>(
      [
        () => (book, nowMs) => book.open({ ...terms, createdAtMs: nowMs }, task, nowMs),
        () => (book, nowMs) => book.ack(attemptId, 3, nowMs),
        () => {
          next.set(attemptId, seq + 1);
          return piece;
        },
        () => (book, nowMs) => book.commit({ type: "commit", attemptId, finishReason: "stop", ...counts }, nowMs),
        () => (book, nowMs) => book.detach(attemptId, nowMs),
        () => (book, nowMs) => book.attach({ ...reader, completionTokens: reader.nextSeq }, nowMs),
        () => (book, nowMs) => book.cancel(attemptId, nowMs),
        () => (book, nowMs) => book.socketLost(nowMs, nowMs, "lost"),
        () => (book, nowMs) => book.welcome([{ ...held, isOver: held.isEndSent }], nowMs),
      ],
      random,
    )();
  };
  for (let atMs = toyStartMs; atMs < toyStartMs + 60_000; ) {
    atMs += gridMs * Math.floor(random() ** 4 * 600);
    happenings.set(atMs, [...(happenings.get(atMs) ?? []), anyHappening()]);
  }
  for (let atMs = toyStartMs; atMs < toyStartMs + 120_000; atMs += gridMs * (1 + Math.floor(random() ** 3 * 500)))
    signs.add(atMs);
  return { happenings, signs };
}

/** Everything a book answered and wanted done, with its time; `isEager` ticks it at each step and not only when due. */
function told(seed: number, isEager: boolean): { lines: string[]; ticks: number } {
  const { happenings, signs } = chance(seed);
  const book = new LeaseBook(toyNodeId, { hasSocket: true });
  const lines: string[] = [];
  let signAtMs = toyStartMs;
  let ticks = 0;
  for (let nowMs = toyStartMs; nowMs < toyStartMs + 240_000; nowMs += gridMs) {
    if (signs.has(nowMs)) signAtMs = nowMs;
    for (const happening of happenings.get(nowMs) ?? [])
      lines.push(`${nowMs} ${JSON.stringify(happening(book, nowMs))}`);
    if (!isEager && (book.nextTickMs(nowMs) ?? Number.POSITIVE_INFINITY) > nowMs) continue;
    ticks += 1;
    const effects = book.tick(nowMs, signAtMs);
    if (effects.length > 0) lines.push(`${nowMs} ${JSON.stringify(effects)}`);
  }
  return { lines, ticks };
}

test.each(Array.from({ length: 20 }, (_, index) => index + 1))(
  "a book that is ticked only when it asks for it settles the same as one that is ticked all the time (seed %i)",
  (seed) => {
    const [eager, due] = [told(seed, true), told(seed, false)];
    expect(due.lines).toEqual(eager.lines);
    expect(due.lines.length).toBeGreaterThan(20);
    expect(due.ticks).toBeLessThan(eager.ticks / 20);
  },
);
