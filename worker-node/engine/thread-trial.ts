export interface ThreadTrial {
  /** The number of threads to go on with; already set. */
  threads: number;
  /** Speed at that number. */
  tokensPerSecond: number;
  /** For the operator, where the chosen number was slower than one thread. */
  warning: string | undefined;
}

/**
 * Measures whether `threads` are really faster than one, and sets the better number.
 *
 * A chosen number can be wrong where other programs use the cores: the load average is a minute old and doesn't see
 * what a container may not use. `setThreads` takes effect at the next measurement. With one thread there is nothing
 * to compare and one measurement is made.
 */
export async function tryThreads({
  threads,
  setThreads,
  measureTokensPerSecond,
}: {
  threads: number;
  setThreads: (threads: number) => void;
  measureTokensPerSecond: () => Promise<number>;
}): Promise<ThreadTrial> {
  setThreads(threads);
  const chosen = await measureTokensPerSecond();
  if (threads <= 1) return { threads, tokensPerSecond: chosen, warning: undefined };
  setThreads(1);
  const single = await measureTokensPerSecond();
  if (single > chosen) {
    const warning =
      `${threads} threads gave ${chosen.toFixed(1)} tokens a second and one thread ${single.toFixed(1)}: ` +
      "other programs use the cores. Going on with one thread.";
    return { threads: 1, tokensPerSecond: single, warning };
  }
  setThreads(threads);
  return { threads, tokensPerSecond: chosen, warning: undefined };
}
