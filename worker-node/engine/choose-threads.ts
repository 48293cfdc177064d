/** With a GPU the CPU only feeds it; more threads than this would wait for each other more than they compute. */
const gpuThreads = 4;

/**
 * How many CPU threads llama.cpp should use: the cores that are wholly free (`load` is the load average, rounded up),
 * less one for the process itself where there are more than two cores, and at least 1.
 *
 * llama.cpp's threads spin while they wait for each other, so one that has no core to itself slows all the others
 * down: two engines of two threads each on two cores can take seconds for one token.
 */
export function chooseThreads({ cores, load, gpu }: { cores: number; load: number; gpu: boolean }): number {
  const free = cores - Math.ceil(load) - (cores > 2 ? 1 : 0);
  return Math.max(1, gpu ? Math.min(free, gpuThreads) : free);
}
