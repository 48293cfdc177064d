/** Rows of one listing: `limit` brought into 1 to 1,000, or 100 where none is given. */
export function boundedLimit(limit: number | undefined): number {
  return Math.max(1, Math.min(limit ?? 100, 1_000));
}
