import type { PoolMember } from "./members.ts";

/**
 * Tokens' worth of decoding that stands for a first token where none was measured. It is low for a prompt of any length,
 * on purpose: a node of which nothing is known is tried, and from then on its own measure counts.
 */
const unmeasuredTokens = 8;
/** A node that names no speed is taken to decode this much a second. */
const slowTokensPerSecond = 1;

/**
 * Milliseconds that a task given to this node now can be expected to wait for its first token:
 * `m × (1 + busy ÷ slots)`, where m is the measured mean of its recent first tokens, or where there is none yet
 * 8 ÷ tokensPerSecond × 1000; and `busy` its slots less its `room`, since what runs shares the engine with the new
 * prompt. So a full node counts twice as slow as the same one idle.
 */
export function expectedFirstTokenMs(
  { slots, tokensPerSecond, firstTokenMs }: Pick<PoolMember, "slots" | "tokensPerSecond" | "firstTokenMs">,
  room: number,
): number {
  const idleMs = firstTokenMs ?? (1_000 * unmeasuredTokens) / Math.max(tokensPerSecond, slowTokensPerSecond);
  const busy = Math.min(slots, Math.max(0, slots - room));
  return idleMs * (1 + busy / slots);
}
