import { expect, test } from "vitest";
import { chooseThreads } from "./choose-threads.ts";

test.each<[guarantee: string, machine: Parameters<typeof chooseThreads>[0], threads: number]>([
  ["an idle machine keeps one core for the process", { cores: 8, load: 0, gpu: false }, 7],
  ["a core that is used in part is not free", { cores: 8, load: 2.1, gpu: false }, 4],
  ["two idle cores are both used", { cores: 2, load: 0, gpu: false }, 2],
  ["two cores of which one is busy give one thread", { cores: 2, load: 0.4, gpu: false }, 1],
  ["an overloaded machine still gets one thread", { cores: 4, load: 9, gpu: false }, 1],
  ["one core gives one thread", { cores: 1, load: 0, gpu: false }, 1],
  ["a GPU is fed by a few threads", { cores: 64, load: 3, gpu: true }, 4],
  ["a busy machine with a GPU gets no more than is free", { cores: 4, load: 2, gpu: true }, 1],
])("%s", (_guarantee, machine, threads) => {
  expect(chooseThreads(machine)).toBe(threads);
});
