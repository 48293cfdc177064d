/** The earlier of two times in milliseconds, `null` only where neither is known. */
export function earliest(left: number | null, right: number | null): number | null {
  if (left === null || right === null) return left ?? right;
  return Math.min(left, right);
}
