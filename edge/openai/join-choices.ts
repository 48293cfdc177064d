import type { AnswerReader } from "../answer-reader.ts";

/**
 * Does the same for every choice of a request at once, and resolves once all are done. Where one fails the others are
 * cancelled, and the first failure is thrown after them.
 */
export async function joinChoices<Result>(
  readers: readonly AnswerReader[],
  act: (reader: AnswerReader, index: number) => Promise<Result>,
): Promise<Result[]> {
  const [only] = readers;
  if (only !== undefined && readers.length === 1) return [await act(only, 0)];
  let failure: { error: unknown } | undefined;
  const results = await Promise.all(
    readers.map(async (reader, index) => {
      try {
        return [await act(reader, index)];
      } catch (error) {
        failure ??= { error };
        for (const other of readers) other.run.cancel();
        return [];
      }
    }),
  );
  if (failure !== undefined) throw failure.error;
  return results.flat();
}
