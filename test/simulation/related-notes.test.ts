import { expect, test } from "vitest";
import { relatedNotes } from "./related-notes.ts";

const notes = [
  '1 ms  task_000001 {"type":"run","attemptId":"attempt_00000a","nodeId":"node_000001"}',
  '2 ms  task_000002 {"type":"run","attemptId":"attempt_00000b","nodeId":"node_000002"}',
  '3 ms  fault: {"kind":"socketCut"}',
  "4 ms  ← node_000001 delta attempt_00000a#0",
  "5 ms  ← node_000001 delta attempt_00000a#1",
  "6 ms  ← node_000002 delta attempt_00000b#0",
  "7 ms  node_000001 loses its socket (1006)",
  "8 ms  node_000002 loses its socket (1006)",
  '9 ms  ← node_000001 delta attempt_00000a#2 {"type":"commit","attemptId":"attempt_00000a"}',
];

test("of all that happened, what has to do with a task is shown: its attempts, their nodes, and every fault", () => {
  expect(relatedNotes(notes, { message: "task_000001 is lost", most: 20 }).map((line) => line.slice(0, 4))).toEqual([
    "1 ms",
    "3 ms",
    "5 ms",
    "7 ms",
    "9 ms",
  ]);
});

test("only the last lines are shown where there are many, with what befell their nodes meanwhile", () => {
  const last = relatedNotes(notes, { message: "attempt_00000a", most: 1 });
  expect(last.map((line) => line.slice(0, 4))).toEqual(["3 ms", "7 ms", "9 ms"]);
});

test("where nothing is named, the last lines of all are shown", () => {
  expect(relatedNotes(notes, { message: "the pools have no room", most: 2 })).toEqual(notes.slice(-2));
});
