const spanMs = 10_000;
const spans = 6;

/** How often something happened of late, in six spans of ten seconds. */
export interface MinuteCount {
  readonly counts: number[];
  /** Number of the span that was counted in last: its begin in units of ten seconds since the epoch. */
  span: number;
}

/** Nothing has happened yet. */
export function emptyMinuteCount(): MinuteCount {
  return { counts: new Array<number>(spans).fill(0), span: 0 };
}

/** Counts one happening at `nowMs`, milliseconds since the epoch. */
export function countOne(count: MinuteCount, nowMs: number): void {
  turnTo(count, Math.floor(nowMs / spanMs));
  const place = count.span % spans;
  count.counts[place] = (count.counts[place] ?? 0) + 1;
}

/** Happenings within the last minute: 50 to 60 seconds, since whole spans are forgotten at once. */
export function countOfLastMinute(count: MinuteCount, nowMs: number): number {
  turnTo(count, Math.floor(nowMs / spanMs));
  let sum = 0;
  for (const each of count.counts) sum += each;
  return sum;
}

/** Empties the spans that have passed. A clock that goes back counts on in the newest span. */
function turnTo(count: MinuteCount, span: number): void {
  const passed = Math.min(spans, span - count.span);
  for (let step = 1; step <= passed; step += 1) count.counts[(span - passed + step) % spans] = 0;
  count.span = Math.max(count.span, span);
}
