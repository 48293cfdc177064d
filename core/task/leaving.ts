import type { AttemptId, NodeId } from "../ids.ts";
import type { AttachOutcome, CancelOutcome, DriverEffect, RunOutcome } from "./driver-step.ts";
import { maxReturns, returnPauseMs } from "./pauses.ts";

/**
 * An attempt whose caller has left: told to stop until somebody says that it is, however the messages cross. `record`
 * is performed once where no node's object knew the attempt, since then none puts the task's end on record.
 */
export class Leaving {
  readonly attemptId: AttemptId;
  readonly #nodeId: NodeId;
  readonly #record: () => DriverEffect;
  /** The call that made the attempt, or came back for it, has not returned. */
  #isCallOut: boolean;
  /** Cancels not answered yet, and those that broke. */
  #cancelsOut = 0;
  #breaks = 0;
  #isOver = false;

  constructor(options: { attemptId: AttemptId; nodeId: NodeId; isCallOut: boolean; record: () => DriverEffect }) {
    this.attemptId = options.attemptId;
    this.#nodeId = options.nodeId;
    this.#isCallOut = options.isCallOut;
    this.#record = options.record;
  }

  /** Tells the node's object to stop. */
  cancel(afterMs = 0): DriverEffect[] {
    this.#cancelsOut += 1;
    return [{ type: "cancelAttempt", attemptId: this.attemptId, nodeId: this.#nodeId, afterMs }];
  }

  /** The call came back. What it made is told to stop again: the first cancel may have come before it. */
  called(outcome: RunOutcome | AttachOutcome): DriverEffect[] {
    this.#isCallOut = false;
    if (outcome.kind === "full" || outcome.kind === "offline") {
      return [{ type: "withdraw", attemptId: this.attemptId }, ...this.#settle()];
    }
    const mayRun = outcome.kind === "accepted" || outcome.kind === "broken";
    return mayRun && !this.#isOver ? this.cancel() : this.#settle();
  }

  /** What the node's object said to a cancel; one that broke down is asked again, {@link maxReturns} times in all. */
  answered(answer: CancelOutcome): DriverEffect[] {
    this.#cancelsOut -= 1;
    if (answer.kind === "known") this.#isOver = true;
    if (answer.kind === "broken" && !this.#isOver) {
      this.#breaks += 1;
      if (this.#breaks < maxReturns) return this.cancel(returnPauseMs(this.#breaks));
    }
    return this.#settle();
  }

  #settle(): DriverEffect[] {
    if (this.#isOver || this.#isCallOut || this.#cancelsOut > 0) return [];
    this.#isOver = true;
    return [this.#record()];
  }
}
