import { describe, expect, test } from "vitest";
import { attemptIdSchema, taskIdSchema } from "../ids.ts";
import type { AttemptEvent } from "../lease/attempt-event.ts";
import { limits } from "../limits.ts";
import {
  accepts,
  acceptsWhole,
  answered,
  attachBreaks,
  attaches,
  cancelBreaks,
  claimBreaks,
  commit,
  cut,
  fails,
  full,
  inWords,
  isUnknown,
  lease,
  leaves,
  type Move,
  node,
  noRoom,
  offline,
  pass,
  piece,
  play,
  type Row,
  refuses,
  runBreaks,
  runFails,
  told,
  tooLong,
  vector,
  waits,
} from "./task-driver.fixture.ts";
import { TaskDriver } from "./task-driver.ts";

describe("finding a node", () => {
  test.each<Row>([
    ["a task asks for any node and is handed over", [lease(1)], ["run on 1"]],
    ["a pool that has nobody ends it", [noRoom("no_live_node")], ["record failed 0+0", "refuse no_live_node"]],
    ["a wait in vain ends it", [noRoom("no_free_node")], ["record expired 0+0", "refuse no_free_node"]],
    ["a full queue ends it", [noRoom("queue_full")], ["record expired 0+0", "refuse queue_full"]],
    ["a node without room gives its claim back, and another is asked for", [lease(1), full], ["withdraw", "wait 0"]],
    ["a node that is full now may be drawn again", [lease(1), full, waits], ["claim"]],
    ["a node without a socket is avoided from then on", [lease(1), offline, waits], ["claim rather not 1"]],
    ["the pause before the next claim grows", [lease(1), full, waits, lease(2), full], ["withdraw", "wait 10"]],
    ["a claim that broke is given back before the pool is asked again", [claimBreaks], ["withdraw", "wait 50"]],
    [
      "a pool that stays broken is asked more and more rarely",
      [claimBreaks, waits, claimBreaks],
      ["withdraw", "wait 100"],
    ],
    [
      "a pool that stays broken ends it",
      [...Array.from({ length: 7 }, () => [claimBreaks, waits]).flat(), claimBreaks],
      ["withdraw", "record expired 0+0", "refuse no_free_node"],
    ],
    [
      "a pool that stays broken is borne longer by a task under way",
      [lease(1), runFails("deadline"), ...Array.from({ length: 20 }, () => [claimBreaks, waits]).flat()],
      ["claim patiently not 1"],
    ],
    [
      "a pool that stays broken past the wait ends a task under way",
      [lease(1), runFails("deadline"), pass(limits.failoverWaitMs), claimBreaks],
      ["withdraw", "record expired 0+0", "refuse no_free_node"],
    ],
  ])("%s", (_guarantee, moves, does) => expect(play(moves).log).toEqual(does));

  test("nodes that are full without end are given up after 64 of them", () => {
    const round = [lease(1), full, waits];
    const { log } = play([...Array.from({ length: 63 }, () => round).flat(), lease(1), full]);
    expect(log).toEqual(["withdraw", "record expired 0+0", "refuse no_free_node"]);
  });

  test("a claim waits for what is left of the task's time, never longer", () => {
    const { table } = play([pass(1_000), lease(1), full, waits, pass(500), lease(2), offline, waits]);
    const waitsMs = table.effects.filter((effect) => effect.type === "claim").map(({ waitMs }) => waitMs);
    expect(waitsMs).toEqual([30_000, 29_000, 28_490]);
  });
});

describe("an answer that nothing disturbs", () => {
  test.each<Row>([
    ["comes as it is told", [lease(1), accepts(), told(piece(0), piece(1)), told(piece(2))], ["'c'"]],
    ["ends with all its counts", [lease(1), accepts(), told(piece(0), piece(1)), told(commit(2))], ["stop 5+2"]],
    [
      "that was whole at once is one round",
      [lease(1), acceptsWhole(piece(0), piece(1), commit(2))],
      ["'a'", "'b'", "stop 5+2"],
    ],
    ["without a token is an answer", [lease(1), acceptsWhole(commit(0))], ["stop 5+0"]],
    ["is over after its end", [lease(1), accepts(), told(piece(0), commit(1)), told(piece(1), commit(2))], []],
    ["cannot be cancelled any more", [lease(1), acceptsWhole(commit(0)), leaves], []],
  ])("%s", (_guarantee, moves, does) => expect(play(moves).log).toEqual(does));
});

describe("pieces", () => {
  test.each<Row>([
    [
      "a piece told twice is delivered once",
      [lease(1), accepts(piece(0)), told(piece(0), piece(1), piece(1))],
      ["'b'"],
    ],
    [
      "a gap is never delivered: it is asked for",
      [lease(1), accepts(piece(0)), told(piece(2), piece(3))],
      ["attach to 1 from 1"],
    ],
    [
      "what was told before a gap is delivered",
      [lease(1), accepts(), told(piece(0), piece(2))],
      ["'a'", "attach to 1 from 1"],
    ],
    [
      "an end that counts more than came is not believed",
      [lease(1), accepts(piece(0)), told(commit(2))],
      ["attach to 1 from 1"],
    ],
    ["half a character is a piece without text", [lease(1), accepts(), told(piece(0, ""))], ["''"]],
  ])("%s", (_guarantee, moves, does) => expect(play(moves).log).toEqual(does));
});

describe("a telling that breaks", () => {
  const reading = [lease(1), accepts(piece(0), piece(1))];
  test.each<Row>([
    ["is asked for again at once, from the piece that is due", [...reading, cut], ["attach to 1 from 2"]],
    ["goes on where it stopped", [...reading, cut, attaches(piece(2)), told(piece(3), commit(4))], ["'d'", "stop 5+4"]],
    ["may repeat what was told", [...reading, cut, attaches(piece(1), piece(2))], ["'c'"]],
    ["and is forgotten goes to another node at once", [...reading, cut, isUnknown], ["claim patiently rather not 1"]],
    ["once more in the next moment is asked for after a pause", [...reading, cut, attaches(), cut], ["wait 50"]],
    [
      "after a new piece is asked for at once again",
      [...reading, cut, attaches(piece(2)), cut],
      ["attach to 1 from 3"],
    ],
    [
      "long after the last time is asked for at once again",
      [...reading, cut, attaches(), pass(2_001), cut],
      ["attach to 1 from 2"],
    ],
    ["while the task is handed over is asked for from the start", [lease(1), runBreaks], ["attach to 1 from 0"]],
    [
      "without an end in what was there already is asked for",
      [lease(1), acceptsWhole(piece(0))],
      ["'a'", "attach to 1 from 1"],
    ],
    ["is of no more meaning once another is read", [...reading, cut, cut], []],
  ])("%s", (_guarantee, moves, does) => expect(play(moves).log).toEqual(does));

  test("is asked for five times within two seconds, and then another node goes on", () => {
    const { log } = play(
      [
        ...reading,
        cut,
        attachBreaks,
        waits,
        attachBreaks,
        waits,
        attachBreaks,
        waits,
        attachBreaks,
        waits,
        attachBreaks,
      ],
      { all: true },
    );
    expect(log.slice(4)).toEqual([
      "attach to 1 from 2",
      "wait 50",
      "attach to 1 from 2",
      "wait 100",
      "attach to 1 from 2",
      "wait 200",
      "attach to 1 from 2",
      "wait 400",
      "attach to 1 from 2",
      "cancel on 1",
      "claim patiently rather not 1",
    ]);
  });

  test("is not waited for longer than two seconds, however slow the answers", () => {
    const { log } = play([...reading, cut, pass(1_900), attachBreaks, waits, pass(100), attachBreaks]);
    expect(log).toEqual(["cancel on 1", "claim patiently rather not 1"]);
  });
});

describe("a node that is lost", () => {
  const half = [lease(1), accepts(piece(0), piece(1))];
  test.each<Row>([
    [
      "before the first piece is replaced by one that begins",
      [lease(1), accepts(), told(fails("socketGone")), lease(2)],
      ["run on 2"],
    ],
    [
      "after the first piece is continued from the ids delivered",
      [...half, told(fails("socketGone")), lease(2)],
      ["run on 2 after 100 101"],
    ],
    [
      "by its socket is avoided, since it may be back",
      [...half, told(fails("socketGone"))],
      ["claim patiently rather not 1"],
    ],
    ["by its silence is not asked again", [...half, told(fails("deadline"))], ["claim patiently not 1"]],
    ["by refusing is not asked again", [...half, told(fails("refuse"))], ["claim patiently not 1"]],
    ["while it is handed the task is replaced", [lease(1), runFails("deadline")], ["claim patiently not 1"]],
    [
      "leaves nothing to be heard of it",
      [
        ...half,
        told(fails("socketGone")),
        (table) => table.take(table.driver.told(attemptIdSchema.parse("attempt_0001"), [piece(2)], 0)),
      ],
      [],
    ],
    [
      "and whose successor is not to be had breaks the answer",
      [...half, told(fails("socketGone")), pass(limits.failoverWaitMs), noRoom("no_free_node")],
      ["record failed 0+0", "refuse stream_broken"],
    ],
    [
      "is waited for: a pool that has nobody now is asked again",
      [...half, told(fails("socketGone")), noRoom("no_live_node")],
      ["wait 0"],
    ],
    [
      "as the fourth in a row that brought nothing ends the task",
      [1, 2, 3, 4].flatMap((number) => [lease(number), runFails("refuse")]),
      ["record failed 0+0", "refuse attempts_exhausted"],
    ],
  ])("%s", (_guarantee, moves, does) => expect(play(moves).log).toEqual(does));

  test("and its successor make one answer, with the counts of both", () => {
    const { log, table } = play(
      [...half, told(fails("socketGone")), lease(2), accepts(piece(0, "c")), told(piece(1, "d"), commit(2))],
      { all: true },
    );
    expect(log).toEqual([
      ...["claim", "run on 1", "'a'", "'b'", "claim patiently rather not 1", "run on 2 after 100 101"],
      ...["'c'", "'d'", "stop 5+4"],
    ]);
    expect(table.driver.nodeIds).toEqual([node(1), node(2)]);
    expect(table.driver.task.attempts).toMatchObject([
      { state: "lost", completionTokens: 2 },
      { state: "committed", completionTokens: 2 },
    ]);
  });

  test("and brought nothing is not named in the answer", () => {
    const { table } = play([lease(1), runFails("refuse"), lease(2), acceptsWhole(piece(0), commit(1))]);
    expect(table.driver.nodeIds).toEqual([node(2)]);
  });

  test("is named again where it made two parts of the answer", () => {
    const again = (number: number) => [told(fails("socketGone")), lease(number), accepts(piece(0))];
    const { table } = play([lease(1), accepts(piece(0)), ...again(2), ...again(1), told(commit(1))]);
    expect(table.driver.nodeIds).toEqual([node(1), node(2), node(1)]);
  });

  test("at the very end of its answer does not make the last text come twice", () => {
    const rest: AttemptEvent = { type: "delta", seq: 1, text: " ST" };
    const moves = [lease(1), accepts(piece(0), rest), told(fails("socketGone")), lease(2)];
    expect(play([...moves, accepts({ type: "delta", seq: 0, text: " ST" }, commit(0))]).log).toEqual([
      "''",
      "stop 5+1",
    ]);
    expect(play([...moves, accepts(piece(0, " S"), piece(1, "Till"))]).log).toEqual(["''", "'ill'"]);
    expect(play([...moves, accepts(piece(0, " other"))]).log).toEqual(["' other'"]);
  });

  test("with more told than any frame holds ends the task", () => {
    const ids = Array.from({ length: 4_096 }, () => 7);
    const pieces = Array.from(
      { length: 33 },
      (_, seq): AttemptEvent => ({ type: "delta", seq, text: "x", tokenIds: ids }),
    );
    const { log } = play([lease(1), accepts(...pieces), told(fails("socketGone"))]);
    expect(log).toEqual(["record failed 0+0", "refuse stream_broken"]);
  });
});

describe("a task at fault", () => {
  test.each<Row>([
    [
      "is refused with the node's reason",
      [lease(1), refuses(tooLong(3_000, 2_048))],
      ["record failed 0+0", "refuse context_length_exceeded"],
    ],
    ["that another node could read goes there", [lease(1), refuses(tooLong(1_500, 1_024))], ["claim patiently not 1"]],
    [
      "by what no node does is refused",
      [lease(1), refuses({ code: "unsupported", message: "no" })],
      ["record failed 0+0", "refuse unsupported_parameter"],
    ],
    [
      "by what only this node lacks goes to another of the model",
      [lease(1), refuses({ code: "unsupported", message: "no", isOnlyHere: true })],
      ["claim not 1"],
    ],
    [
      "by what every live node lacks is refused with the last one's reason",
      [
        ...[lease(1), refuses({ code: "unsupported", message: "no", isOnlyHere: true })],
        ...[lease(2), refuses({ code: "unsupported", message: "nor I", isOnlyHere: true })],
        noRoom("no_live_node"),
      ],
      ["record failed 0+0", "refuse unsupported_parameter"],
    ],
    [
      "by what only busy nodes may have is asked of them again",
      [lease(1), refuses({ code: "unsupported", message: "no", isOnlyHere: true }), noRoom("no_free_node")],
      ["wait 0"],
    ],
    [
      "by four nodes in a row is refused with the reason, not as a failure of theirs",
      [1, 2, 3, 4].flatMap((at) => [lease(at), refuses({ code: "unsupported", message: "no", isOnlyHere: true })]),
      ["record failed 0+0", "refuse unsupported_parameter"],
    ],
    [
      "only for what was told already goes to a node that reads more",
      [lease(1), accepts(piece(0)), told(fails("socketGone")), lease(2), refuses(tooLong(3_000, 2_048))],
      ["claim patiently not 2 rather not 1"],
    ],
  ])("%s", (_guarantee, moves, does) => expect(play(moves).log).toEqual(does));

  test("brings the node's numbers with its refusal", () => {
    const { table } = play([lease(1), refuses(tooLong(3_000, 2_048))]);
    expect(table.effects.at(-1)).toMatchObject({
      type: "refuse",
      fault: { promptTokens: 3_000, contextTokens: 2_048 },
    });
  });
});

describe("an embedding", () => {
  test.each<Row>([
    [
      "comes as its vectors do",
      [lease(1), acceptsWhole(vector(0, 1), vector(1, 0), commit(0))],
      ["vectors 1", "vectors 0", "stop 5+0"],
    ],
    [
      "with a vector missing is not believed",
      [lease(1), accepts(vector(0, 1)), told(commit(0))],
      ["attach to 1 from 1"],
    ],
    [
      "begins anew on another node",
      [lease(1), accepts(vector(0, 1)), told(fails("socketGone"))],
      ["restart", "claim patiently rather not 1"],
    ],
    [
      "is handed on without what was dropped",
      [lease(1), accepts(vector(0, 1)), told(fails("socketGone")), lease(2)],
      ["run on 2"],
    ],
  ])("%s", (_guarantee, moves, does) => expect(play(moves, { kind: "embedding", inputs: 2 }).log).toEqual(does));

  test("names the node that made it, and no other", () => {
    const moves = [lease(1), accepts(vector(0, 0)), told(fails("socketGone")), lease(2)];
    const { table } = play([...moves, acceptsWhole(vector(0, 0), vector(1, 1), commit(0))], {
      kind: "embedding",
      inputs: 2,
    });
    expect(table.driver.nodeIds).toEqual([node(2)]);
  });

  test("says what it has of an attempt when it comes back for it", () => {
    const { table } = play([lease(1), accepts(vector(0, 1)), cut], { kind: "embedding", inputs: 2 });
    expect(table.effects.at(-1)).toMatchObject({ type: "attach", nextSeq: 1, completionTokens: 0, vectors: [1] });
  });
});

describe("a caller who leaves", () => {
  const reading = [lease(1), accepts(piece(0), piece(1))];
  test.each<Row>([
    ["while a claim is on its way leaves no ticket behind", [leaves], ["withdraw", "record cancelled 0+0"]],
    ["and then gets a lease leaves no lease behind", [leaves, lease(1)], ["withdraw"]],
    ["whose claim then broke gives it back once more", [leaves, claimBreaks], ["withdraw"]],
    ["and then gets none has nothing to give back", [leaves, noRoom("no_free_node")], []],
    ["during a pause is not found a node any more", [lease(1), full, leaves, waits], []],
    ["while the task is handed over stops it there", [lease(1), leaves], ["cancel on 1"]],
    [
      "before the task arrives stops it once it has",
      [lease(1), leaves, answered("unknown"), accepts()],
      ["cancel on 1"],
    ],
    [
      "while the task is handed over to a full node gives the claim back",
      [lease(1), leaves, answered("unknown"), full],
      ["withdraw", "record cancelled 0+0"],
    ],
    [
      "while the node refuses has the end recorded",
      [lease(1), leaves, answered("unknown"), runFails("refuse")],
      ["record cancelled 0+0"],
    ],
    ["in the middle stops the node", [...reading, leaves], ["cancel on 1"]],
    ["in the middle is on record by the node's object", [...reading, leaves, answered("known")], []],
    [
      "as the node's object forgets it is on record with what came",
      [...reading, leaves, answered("unknown")],
      ["record cancelled 5+2"],
    ],
    ["hears nothing that comes later", [...reading, leaves, told(piece(2), commit(3))], []],
    ["while the node's object is reset tells it again", [...reading, leaves, cancelBreaks], ["cancel on 1 in 50"]],
    [
      "is on record also when no node's object ever answers",
      [...reading, leaves, ...Array<Move>(5).fill(cancelBreaks)],
      ["record cancelled 5+2"],
    ],
    ["while it comes back for a telling stops the node", [...reading, cut, leaves], ["cancel on 1"]],
    [
      "and then comes back to it stops the node again",
      [...reading, cut, leaves, answered("unknown"), attaches()],
      ["cancel on 1"],
    ],
    [
      "and then finds it unknown has the end recorded",
      [...reading, cut, leaves, answered("unknown"), isUnknown],
      ["record cancelled 5+2"],
    ],
    [
      "between two nodes is on record with what came",
      [...reading, told(fails("socketGone")), leaves],
      ["withdraw", "record cancelled 5+2"],
    ],
    ["twice has left once", [...reading, leaves, leaves], []],
  ])("%s", (_guarantee, moves, does) => expect(play(moves).log).toEqual(does));

  test("before the task began is not found a node", () => {
    const driver = new TaskDriver({
      taskId: taskIdSchema.parse("task_0001"),
      kind: "chat",
      inputs: 0,
      mostContextTokens: 2_048,
      newAttemptId: () => attemptIdSchema.parse("attempt_0001"),
      nowMs: 0,
    });
    expect(driver.cancel(0).map(inWords)).toEqual(["record cancelled 0+0"]);
    expect(driver.start(0)).toEqual([]);
    expect(driver.isOver).toBe(true);
  });
});

test("an attempt begins when its task was sent, not when its node answered", () => {
  const { table } = play([pass(10), lease(1), pass(400), accepts(), pass(50), told(piece(0))]);
  expect(table.driver.task.attempts).toMatchObject([{ assignedAtMs: 10, ackedAtMs: 410, firstTokenAtMs: 460 }]);
});
