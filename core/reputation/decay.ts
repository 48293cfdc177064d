/** What a node did a month ago counts half. */
const halfLifeMs = 30 * 24 * 3_600_000;

/** A count after so much time; a clock that went back changes nothing. */
export function decayed(count: number, elapsedMs: number): number {
  return count * 0.5 ** (Math.max(0, elapsedMs) / halfLifeMs);
}
