import { expect, test } from "vitest";
import { lineProgress, terminalProgress } from "./progress-bar.ts";

function drawn(columns: number) {
  let nowMs = 0;
  let text = "";
  const write = (piece: string) => {
    text += piece;
  };
  const wait = (elapsedMs: number) => {
    nowMs += elapsedMs;
  };
  return { display: terminalProgress({ write, columns }, () => nowMs), text: () => text, wait };
}

test("a log gets a line for each fifth of a large file and one for a small file", () => {
  const lines: string[] = [];
  const display = lineProgress((line) => lines.push(line));
  for (let percent = 0; percent <= 100; percent++) {
    display.update({ label: "large", doneBytes: percent * 1e6, totalBytes: 100e6 });
  }
  display.update({ label: "small", doneBytes: 500, totalBytes: 1000 });
  display.update({ label: "small", doneBytes: 1000, totalBytes: 1000 });
  expect(lines).toEqual([
    "large: 20 % of 100.0 MB",
    "large: 40 % of 100.0 MB",
    "large: 60 % of 100.0 MB",
    "large: 80 % of 100.0 MB",
    "large: 100 % of 100.0 MB",
    "small: 100 % of 0.0 MB",
  ]);
});

test("a terminal shows a bar with speed and time left, redrawn in place", () => {
  const { display, text, wait } = drawn(100);
  display.update({ label: "model.gguf", doneBytes: 0, totalBytes: 100e6 });
  wait(1_000);
  display.update({ label: "model.gguf", doneBytes: 25e6, totalBytes: 100e6 });
  expect(text().split("\r").at(-1)).toBe(
    "\u001b[2Kmodel.gguf  ███████░░░░░░░░░░░░░░░░░░░░░░░  25 % of 100.0 MB  25.0 MB/s  3 s left",
  );
  expect(text()).not.toContain("\n");
});

test("a terminal is not drawn on more than ten times a second, but always at the end", () => {
  const { display, text, wait } = drawn(80);
  for (let done = 0; done <= 100; done++) {
    display.update({ label: "model.gguf", doneBytes: done, totalBytes: 100 });
    wait(1);
  }
  display.end();
  expect(text().split("\r").length - 1).toBe(2);
  expect(text()).toMatch(/100 % of .*\n$/);
});

test("a bar never wraps in a narrow terminal", () => {
  const { display, text } = drawn(30);
  display.update({ label: "a-model-with-a-rather-long-name.gguf", doneBytes: 1, totalBytes: 100 });
  expect(text().replace("\r\u001b[2K", "").length).toBeLessThan(30);
});

test("a note stands on a line of its own", () => {
  const { display, text } = drawn(80);
  display.update({ label: "model.gguf", doneBytes: 1, totalBytes: 100 });
  display.note("Trying the next source.");
  expect(text()).toMatch(/\nTrying the next source\.\n$/);
});
