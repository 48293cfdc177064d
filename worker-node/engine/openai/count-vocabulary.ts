import { UpstreamError } from "./upstream-error.ts";

/** Above every vocabulary that there is. */
const mostTokens = 1 << 21;

/**
 * The number of token ids that a model reads, where its server says so nowhere but refuses a prompt with an id beyond
 * them: found by halving, in about twenty questions. `known` is an id that it has; `read` sends one id and throws
 * `UpstreamError` with status 400 or 422 where it is refused.
 */
export async function countVocabulary({
  known,
  read,
}: {
  known: number;
  read: (tokenId: number) => Promise<unknown>;
}): Promise<number> {
  let readable = known;
  let refused = mostTokens;
  while (refused - readable > 1) {
    const middle = Math.floor((readable + refused) / 2);
    if (await isRead(() => read(middle))) readable = middle;
    else refused = middle;
  }
  return readable + 1;
}

async function isRead(action: () => Promise<unknown>): Promise<boolean> {
  try {
    await action();
    return true;
  } catch (error) {
    if (error instanceof UpstreamError && (error.status === 400 || error.status === 422)) return false;
    throw error;
  }
}
