import type { Trace } from "../../core/trace/trace.ts";
import type { Bug } from "./bugs.ts";
import type { Dice } from "./dice.ts";
import type { EventLoop } from "./event-loop.ts";
import type { Tally } from "./tally.ts";

/** A guarantee that did not hold, and at once: the run stops where it broke. */
export class Violation extends Error {
  override readonly name = "Violation";
  /** Which checker found it, in a few words that stay the same over seeds. */
  readonly checker: string;

  constructor(checker: string, detail: string) {
    super(`${checker}: ${detail}`);
    this.checker = checker;
  }
}

/** What every part of the simulated network stands on. */
export interface Ground {
  readonly loop: EventLoop;
  readonly dice: Dice;
  readonly tally: Tally;
  /** Mistakes slipped in by hand, to see that the checkers find them. */
  readonly bugs: ReadonlySet<Bug>;
  /** Real time is measured where it is of interest. */
  readonly isTimed: boolean;
  /** Where an object's core notes what it is told; undefined where nothing is to be noted. */
  traceOf(name: string): Trace | undefined;
  /** Writes a line of what happened, where the run keeps such lines. */
  note(line: () => string): void;
}

/** Throws a {@link Violation} unless a guarantee holds; `detail` is made only then. */
export function holds(isTrue: boolean, checker: string, detail: () => string): asserts isTrue {
  if (!isTrue) throw new Violation(checker, detail());
}
