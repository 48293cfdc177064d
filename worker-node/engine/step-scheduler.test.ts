import { expect, test } from "vitest";
import { StepScheduler } from "./step-scheduler.ts";

/** A scheduler whose turns and clock are moved by hand, and which writes down what ran in each round. */
function table(chunkTokens: number) {
  const turns: (() => void)[] = [];
  const clock = { ms: 0 };
  const scheduler = new StepScheduler({
    chunkTokens,
    now: () => clock.ms,
    nextTurn: (action) => void turns.push(action),
  });
  const settle = async () => {
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  };
  /** Begins the next round, if one is due, and lets its finished steps be noticed. */
  const round = async (): Promise<boolean> => {
    const next = turns.shift();
    next?.();
    await settle();
    return next !== undefined;
  };
  return { scheduler, clock, round, settle };
}

test("steps asked for together run in one round", async () => {
  const { scheduler, round } = table(128);
  const ran: string[] = [];
  const a = scheduler.run({ tokensLeft: 1 }, async () => void ran.push("a"));
  const b = scheduler.run({ tokensLeft: 1 }, async () => void ran.push("b"));
  expect(ran).toEqual([]);
  await round();
  expect(ran).toEqual(["a", "b"]);
  await Promise.all([a, b]);
});

test("a step asked for during a round waits for the slowest step of that round", async () => {
  const { scheduler, round, settle } = table(128);
  let finishSlow: () => void = () => {};
  const ran: string[] = [];
  const slow = scheduler.run({ tokensLeft: 1 }, () => new Promise<void>((resolve) => (finishSlow = resolve)));
  const fast = scheduler
    .run({ tokensLeft: 1 }, async () => void ran.push("fast"))
    .then(() => scheduler.run({ tokensLeft: 1 }, async () => void ran.push("fast again")));
  await round();
  expect(ran).toEqual(["fast"]);
  expect(await round()).toBe(false);
  finishSlow();
  await settle();
  const slowAgain = slow.then(() => scheduler.run({ tokensLeft: 1 }, async () => void ran.push("slow again")));
  await settle();
  await round();
  expect(ran).toEqual(["fast", "fast again", "slow again"]);
  await Promise.all([fast, slowAgain]);
});

test("a step that fails does not hold up the others", async () => {
  const { scheduler, round } = table(128);
  const failing = scheduler.run({ tokensLeft: 1 }, () => Promise.reject(new Error("no room")));
  const other = scheduler.run({ tokensLeft: 1 }, async () => "done");
  const failure = expect(failing).rejects.toThrow("no room");
  await round();
  await failure;
  expect(await other).toBe("done");
});

/** Runs one round of a prompt of 1 000 tokens beside `others` answers; returns what the prompt's reader may read. */
async function budgetOf(setup: ReturnType<typeof table>, { readers, others }: { readers: number; others: number }) {
  const budgets: number[] = [];
  for (let reader = 0; reader < readers; reader++) {
    void setup.scheduler.run({ tokensLeft: 1_000 }, async (tokens) => {
      budgets.push(tokens);
      setup.clock.ms += 5 * tokens;
    });
  }
  for (let other = 0; other < others; other++) void setup.scheduler.run({ tokensLeft: 1 }, async () => {});
  await setup.round();
  return budgets;
}

test("a prompt alone is read in whole pieces, several prompts share one", async () => {
  expect(await budgetOf(table(128), { readers: 1, others: 0 })).toEqual([128]);
  expect(await budgetOf(table(128), { readers: 3, others: 0 })).toEqual([42, 42, 42]);
});

test("beside running answers a prompt is read in the smallest pieces until its speed is known", async () => {
  const setup = table(128);
  expect(await budgetOf(setup, { readers: 1, others: 1 })).toEqual([16]);
  expect(await budgetOf(setup, { readers: 1, others: 1 })).toEqual([64]);
});

test("a step is never given more than it asked for", async () => {
  const { scheduler, round } = table(128);
  const given = scheduler.run({ tokensLeft: 5 }, async (tokens) => tokens);
  await round();
  expect(await given).toBe(5);
});
