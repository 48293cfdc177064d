/** A workerd that lived this long was well; a shorter life counts against it. */
const soundLifeMs = 5_000;
/** This many short lives in a row, and starting it again will not mend it. */
const mostShortLives = 5;
const firstDelayMs = 100;

/** What to do about a workerd that has ended by itself. */
export type AfterEnd = { kind: "restart"; delayMs: number; shortLives: number } | { kind: "giveUp" };

/**
 * Decides whether a workerd that ended by itself is started again. `livedMs` is the time from its first answer to its
 * end, 0 where it never listened; `shortLives` counts the short ones in a row before this one. A sound life is followed
 * at once, each short one by twice the wait of the one before (100 ms to 1.6 s), and the sixth in a row by nothing.
 */
export function afterEnd({ livedMs, shortLives }: { livedMs: number; shortLives: number }): AfterEnd {
  if (livedMs >= soundLifeMs) return { kind: "restart", delayMs: 0, shortLives: 0 };
  if (shortLives >= mostShortLives) return { kind: "giveUp" };
  return { kind: "restart", delayMs: firstDelayMs * 2 ** shortLives, shortLives: shortLives + 1 };
}
