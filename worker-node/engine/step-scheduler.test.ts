import { expect, test } from "vitest";
import { StepScheduler, type Weights } from "./step-scheduler.ts";

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

/**
 * Runs one round of `readers` prompts of 1 000 tokens beside `others` answers, each token taking `tokenMs`. Returns
 * what each prompt's reader was given.
 */
async function budgetsOf(
  setup: ReturnType<typeof table>,
  { readers, others, tokenMs = 5 }: { readers: number; others: number; tokenMs?: number },
): Promise<number[]> {
  const budgets: number[] = [];
  for (let reader = 0; reader < readers; reader++) {
    void setup.scheduler.run({ tokensLeft: 1_000 }, async (tokens) => {
      budgets.push(tokens);
      setup.clock.ms += tokenMs * tokens;
    });
  }
  for (let other = 0; other < others; other++) {
    void setup.scheduler.run({ tokensLeft: 1 }, async () => {
      setup.clock.ms += tokenMs;
    });
  }
  await setup.round();
  return budgets;
}

test("prompts are read in the smallest pieces until the speed is known, and share what a round reads", async () => {
  const setup = table(128);
  expect(await budgetsOf(setup, { readers: 1, others: 0 })).toEqual([16]);
  expect(await budgetsOf(setup, { readers: 1, others: 0 })).toEqual([32]);
  expect(await budgetsOf(setup, { readers: 3, others: 0 })).toEqual([10, 10, 10]);
  expect(await budgetsOf(setup, { readers: 1, others: 3 })).toEqual([32]);
});

test.each<[machine: string, tokenMs: number, pieceTokens: number]>([
  ["a GPU reads whole pieces", 0.1, 512],
  ["a fast CPU reads what a quarter second allows", 1.5, 128],
  ["a slow CPU reads as much as is worth reading at once", 9, 32],
  ["a slower one reads what half a second allows", 20, 16],
  ["no machine reads less than the smallest piece", 100, 8],
])("%s", async (_machine, tokenMs, pieceTokens) => {
  const setup = table(512);
  for (let round = 0; round < 12; round++) await budgetsOf(setup, { readers: 1, others: 0, tokenMs });
  for (const readers of [1, 2, 4]) {
    const budgets = await budgetsOf(setup, { readers, others: 0, tokenMs });
    expect(budgets).toEqual(new Array(readers).fill(pieceTokens / readers));
  }
});

test("whatever the speed, a round that reads is over well within a second", async () => {
  for (let tokenMs = 0.05; tokenMs < 60; tokenMs *= 1.1) {
    const setup = table(512);
    for (let round = 0; round < 12; round++) await budgetsOf(setup, { readers: 1, others: 0, tokenMs });
    const startedMs = setup.clock.ms;
    await budgetsOf(setup, { readers: 4, others: 0, tokenMs });
    expect(setup.clock.ms - startedMs).toBeLessThanOrEqual(tokenMs * 32 <= 250 ? 250 : 500);
  }
});

test("a machine that becomes slow reads less a round, and more again when it is fast", async () => {
  const setup = table(128);
  const pieceAt = async (tokenMs: number) => {
    let piece: number | undefined;
    for (let round = 0; round < 8; round++) [piece] = await budgetsOf(setup, { readers: 1, others: 0, tokenMs });
    return piece;
  };
  expect([await pieceAt(1), await pieceAt(20), await pieceAt(1)]).toEqual([128, 16, 128]);
});

test("a few tokens beside an answer's start say nothing of the speed of reading", async () => {
  const setup = table(128);
  for (let round = 0; round < 4; round++) await budgetsOf(setup, { readers: 1, others: 0 });
  void setup.scheduler.run({ tokensLeft: 3 }, async () => {
    setup.clock.ms += 200;
  });
  await setup.round();
  expect(await budgetsOf(setup, { readers: 1, others: 0 })).toEqual([32]);
});

test("a step is never given more than it asked for", async () => {
  const { scheduler, round } = table(128);
  const given = scheduler.run({ tokensLeft: 5 }, async (tokens) => tokens);
  await round();
  expect(await given).toBe(5);
});

/** Rounds of one answer of 10 ms a token, with a patient reading of so many tokens, each taking `readMs`, beside it. */
async function besideAnswer({
  rounds,
  readMs,
  tokens,
  weights = "own",
}: {
  rounds: number;
  readMs: number;
  tokens: number;
  weights?: Weights;
}) {
  const setup = table(512);
  for (let round = 0; round < 12; round++) await budgetsOf(setup, { readers: 1, others: 0, tokenMs: readMs });
  const startedMs = setup.clock.ms;
  let left = tokens;
  const pieces: number[] = [];
  const read = () => {
    if (left === 0) return;
    void setup.scheduler
      .run({ tokensLeft: left, isPatient: true, weights }, async (budget) => {
        left -= budget;
        pieces.push(budget);
        setup.clock.ms += budget * readMs;
      })
      .then(read);
  };
  read();
  setup.scheduler.beginAnswer();
  for (let round = 0; round < rounds; round++) {
    void setup.scheduler.run({ tokensLeft: 1 }, async () => {
      setup.clock.ms += 10;
    });
    await setup.round();
  }
  return { ...setup, pieces, left: () => left, slower: (setup.clock.ms - startedMs) / (10 * rounds) - 1 };
}

test.each<[readMs: number, weights: Weights]>([
  ...[0.05, 1, 3, 12].map((readMs): [number, Weights] => [readMs, "own"]),
  ...[0.05, 1, 3, 12].map((readMs): [number, Weights] => [readMs, "copy"]),
])(
  "a patient reading of %d ms a token (%s weights) slows answers by less than a tenth, and goes on",
  async (readMs, weights) => {
    const { slower, pieces } = await besideAnswer({ rounds: 4_000, readMs, tokens: 1_000_000, weights });
    expect(slower).toBeLessThan(0.1);
    expect(slower).toBeGreaterThan(0.04);
    expect(pieces.length).toBeGreaterThan(0);
    // No round is held up by more than a round's time, or a small piece's.
    expect(Math.max(...pieces) * readMs).toBeLessThanOrEqual(Math.max(10, 16 * readMs));
  },
);

test("once the answers are over a patient reading has whole rounds for itself", async () => {
  const setup = await besideAnswer({ rounds: 3, readMs: 1, tokens: 1_000 });
  const before = setup.pieces.length;
  expect(await setup.round()).toBe(false);
  setup.scheduler.endAnswer();
  while (await setup.round());
  expect(setup.left()).toBe(0);
  expect(setup.pieces.slice(before, -1).every((piece) => piece === 128)).toBe(true);
});

test("patient readings share a round", async () => {
  const { scheduler, round } = table(128);
  const given = [1, 2].map(() => scheduler.run({ tokensLeft: 100, isPatient: true }, async (tokens) => tokens));
  await round();
  expect(await Promise.all(given)).toEqual([8, 8]);
});

test("a copy's weights are read at a speed of their own", async () => {
  const setup = table(512);
  const piece = async (step: { isPatient: boolean; weights: Weights }, tokenMs: number) => {
    let given = 0;
    void setup.scheduler.run({ tokensLeft: 1_000, ...step }, async (tokens) => {
      given = tokens;
      setup.clock.ms += tokenMs * tokens;
    });
    await setup.round();
    return given;
  };
  for (let round = 0; round < 12; round++) {
    await piece({ isPatient: true, weights: "copy" }, 0.5);
    await piece({ isPatient: false, weights: "own" }, 4);
  }
  expect(await piece({ isPatient: true, weights: "copy" }, 0.5)).toBe(256);
  expect(await piece({ isPatient: false, weights: "own" }, 4)).toBe(32);
});
