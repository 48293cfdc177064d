/** A client that sends more, or slower, than this hears nothing: it has been told by its own end that it is too much. */
const most = { bytes: 64 * 1024 * 1024, ms: 5_000 } as const;

/**
 * Reads and drops what is left of a request's body. A client that is still sending when the connection closes sees a
 * broken pipe instead of its answer, so a refusal that came before the body's end waits for that end.
 */
export async function drainBody({ body }: Request): Promise<void> {
  if (body === null || body.locked) return;
  const reader = body.getReader();
  let timer: ReturnType<typeof setTimeout> | null = null;
  const isLate = new Promise<"late">((resolve) => {
    timer = setTimeout(() => resolve("late"), most.ms);
  });
  try {
    for (let sizeBytes = 0; sizeBytes <= most.bytes; ) {
      const part = await Promise.race([reader.read(), isLate]);
      if (part === "late" || part.done) return;
      sizeBytes += part.value.byteLength;
    }
  } catch (error) {
    // The client went away, so nobody waits for the answer.
    console.warn("edge: a body ended before it was whole", { error: String(error) });
  } finally {
    clearTimeout(timer);
  }
}
