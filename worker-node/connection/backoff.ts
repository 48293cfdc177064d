/** Longest wait before the dial that follows a socket's loss: answers run, and their readers wait. */
const atOnceMs = 100;
/** While answers run, whose readers wait 2 s for this node, it dials this often for somewhat longer than that. */
const busyMs = { least: 150, most: 250 };
const busyDials = 12;
/** First and longest wait after that. */
const firstMs = 250;
const longestMs = 15_000;

/**
 * Milliseconds to wait before dial number `failures + 1`. The first is drawn from 0 to 100 ms, and some more from 150 to
 * 250 ms where answers run (`isBusy`). The others double from a quarter second to 15 s, each drawn evenly from the upper
 * half of its span. So a fleet that lost its router together does not come back together. `random` returns 0 to 1.
 */
export function backoffMs(failures: number, { isBusy, random }: { isBusy: boolean; random: () => number }): number {
  if (failures === 0) return Math.round(atOnceMs * random());
  if (isBusy && failures <= busyDials) return Math.round(busyMs.least + (busyMs.most - busyMs.least) * random());
  const span = Math.min(longestMs, firstMs * 2 ** Math.min(failures - 1, 16));
  return Math.round(span / 2 + (span / 2) * random());
}

/** How often a suspended node asks whether it still is: an appeal takes a while, and a fleet of them is no load. */
const suspendedMs = { least: 45_000, most: 75_000 };

/** Milliseconds that a suspended node waits before it dials again, drawn evenly. `random` returns 0 to 1. */
export function suspensionWaitMs(random: () => number): number {
  return Math.round(suspendedMs.least + (suspendedMs.most - suspendedMs.least) * random());
}
