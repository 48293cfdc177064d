const pollMs = 50;

/**
 * Resolves with the first result that is neither `undefined` nor `false`, asking again and again. Rejects after
 * `withinMs` and names what it waited for; `since` may add what is known by then.
 */
export async function until<Result>(
  what: string,
  probe: () => Promise<Result | undefined | false> | Result | undefined | false,
  { withinMs = 30_000, since }: { withinMs?: number; since?: () => string } = {},
): Promise<Result> {
  const deadlineMs = Date.now() + withinMs;
  for (;;) {
    const result = await probe();
    if (result !== undefined && result !== false) return result;
    if (Date.now() > deadlineMs) {
      throw new Error(`${what}: not within ${withinMs} ms.${since === undefined ? "" : `\n${since()}`}`);
    }
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}
