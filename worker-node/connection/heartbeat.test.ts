import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { limits } from "../../core/limits.ts";
import { Heartbeat } from "./heartbeat.ts";

let beats: number[];
let silentAtMs: number | undefined;
let heartbeat: Heartbeat;
let startedMs: number;
const nowMs = () => performance.now() - startedMs;

beforeEach(() => {
  vi.useFakeTimers();
  startedMs = performance.now();
  beats = [];
  silentAtMs = undefined;
  heartbeat = new Heartbeat({
    heartbeatMs: 15_000,
    busyHeartbeatMs: 1_000,
    send: () => beats.push(nowMs()),
    onSilent: () => {
      silentAtMs ??= nowMs();
      heartbeat.stop();
    },
  });
});
afterEach(() => {
  heartbeat.stop();
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

/** The router answers each beat at once. */
function answer(forMs: number): void {
  for (let ms = 0; ms < forMs; ms += 500) {
    const before = beats.length;
    vi.advanceTimersByTime(500);
    if (beats.length > before) heartbeat.heard();
  }
}

describe("while idle", () => {
  test("a beat comes every heartbeatMs, and an answered one keeps the socket", () => {
    answer(60_000);
    expect(beats).toEqual([15_000, 30_000, 45_000, 60_000]);
    expect(silentAtMs).toBeUndefined();
  });

  test("a beat that nobody answers until the next is due means that the socket is dead", () => {
    vi.advanceTimersByTime(60_000);
    expect(beats).toEqual([15_000]);
    expect(silentAtMs).toBe(30_000);
  });
});

describe("while tasks run", () => {
  test("a beat comes every busyHeartbeatMs", () => {
    heartbeat.setBusy(true);
    answer(3_000);
    expect(beats).toEqual([1_000, 2_000, 3_000]);
    expect(silentAtMs).toBeUndefined();
  });

  test("3 s without a word of the router mean that the socket is dead", () => {
    heartbeat.setBusy(true);
    answer(5_000);
    vi.advanceTimersByTime(2_999);
    expect(silentAtMs).toBeUndefined();
    vi.advanceTimersByTime(1);
    expect(silentAtMs).toBe(8_000);
  });

  test("any word keeps it, a heartbeat or not", () => {
    heartbeat.setBusy(true);
    for (let word = 0; word < 10; word += 1) {
      vi.advanceTimersByTime(limits.busySilenceMs - 1);
      heartbeat.heard();
    }
    expect(silentAtMs).toBeUndefined();
  });

  test("the silence before the first task does not count", () => {
    vi.advanceTimersByTime(14_000);
    heartbeat.setBusy(true);
    vi.advanceTimersByTime(2_999);
    expect(silentAtMs).toBeUndefined();
  });

  test("saying it again changes nothing", () => {
    heartbeat.setBusy(true);
    vi.advanceTimersByTime(600);
    heartbeat.setBusy(true);
    vi.advanceTimersByTime(400);
    expect(beats).toEqual([1_000]);
  });

  test("it ends with the tasks: beats are as rare as before, and short silence is none", () => {
    heartbeat.setBusy(true);
    vi.advanceTimersByTime(2_500);
    heartbeat.setBusy(false);
    beats.length = 0;
    answer(30_000);
    expect(beats).toEqual([17_500, 32_500]);
    expect(silentAtMs).toBeUndefined();
  });

  test("a process that stood still asks again before it gives its socket up", () => {
    heartbeat.setBusy(true);
    // The clock runs on while no timer does.
    const stillMs = 60_000;
    const real = performance.now.bind(performance);
    const clock = vi.spyOn(performance, "now").mockImplementation(() => real() + stillMs);
    vi.advanceTimersByTime(3_000);
    expect(silentAtMs).toBeUndefined();
    vi.advanceTimersByTime(2_999);
    expect(silentAtMs).toBeUndefined();
    vi.advanceTimersByTime(1);
    expect(silentAtMs).toBeDefined();
    clock.mockRestore();
  });
});
