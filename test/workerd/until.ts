/** How long a test waits for what must come; a slow machine needs a part of it, a broken promise all of it. */
const patienceMs = 25_000;

/** The first value that `look` finds. Looks again every 10 ms and throws, naming `what`, when it never comes. */
export async function until<Value>(
  look: () => Value | undefined | Promise<Value | undefined>,
  what: string,
): Promise<Value> {
  const deadlineMs = Date.now() + patienceMs;
  for (;;) {
    const value = await look();
    if (value !== undefined) return value;
    if (Date.now() > deadlineMs) throw new Error(`never came: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
