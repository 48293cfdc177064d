/** How often a node lost its socket of late, and until when it is put aside for it. Times are milliseconds since the epoch. */
export interface Flaps {
  /** Losses within the last {@link windowMs}, oldest first. */
  readonly lossesMs: readonly number[];
  /** 0 where it never was. */
  readonly asideUntilMs: number;
  /** How often in a row it was put aside, each within an hour of the one before. */
  readonly timesAside: number;
}

/** A node nothing is known of. */
export const steady: Flaps = { lossesMs: [], asideUntilMs: 0, timesAside: 0 };

const windowMs = 60_000;
/** More losses than a node has by a bad minute of its network: what it works on is moved away each time. */
const lossesToBePutAside = 6;
const firstAsideMs = 30_000;
const longestAsideMs = 600_000;
const forgivenAfterMs = 3_600_000;

/**
 * Counts one loss of a node's socket that the node did not announce. The sixth within a minute puts it aside for 30 s,
 * and each further time within an hour for twice as long, up to 10 minutes. A node put aside is given work only where
 * nobody else is left.
 */
export function noteLoss(flaps: Flaps, nowMs: number): Flaps {
  const lossesMs = [...flaps.lossesMs.filter((atMs) => nowMs - atMs < windowMs), nowMs];
  if (lossesMs.length < lossesToBePutAside) return { ...flaps, lossesMs };
  const timesAside = nowMs - flaps.asideUntilMs < forgivenAfterMs ? flaps.timesAside + 1 : 1;
  const asideMs = Math.min(longestAsideMs, firstAsideMs * 2 ** (timesAside - 1));
  return { lossesMs: [], asideUntilMs: nowMs + asideMs, timesAside };
}

/** True while it is put aside. */
export function isAside(flaps: Flaps, nowMs: number): boolean {
  return flaps.asideUntilMs > nowMs;
}
