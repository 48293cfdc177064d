/** A table of moves: for each state, the event that leaves it and the state it leads to. */
export type Moves<State extends string, Event extends string> = Record<State, Partial<Record<Event, State>>>;

/** Every state of an attempt (DOMAIN: Task). */
export const attemptStates = [
  "assigned",
  "acked",
  "precommitted",
  "committed",
  "rejected",
  "timed_out",
  "lost",
] as const;
export type AttemptState = (typeof attemptStates)[number];

export type AttemptEventType =
  | "ack"
  | "precommit"
  | "commit"
  | "deadline"
  | "socketGone"
  | "refuse"
  | "cancel"
  | "reject";

/**
 * Every legal move of an attempt. `refuse` is the node's own no; `cancel` the client's end: both close the attempt as
 * `rejected`, since its result is not used. The check in `db/` and the test matrix are made from this table.
 */
export const attemptMoves = {
  assigned: { ack: "acked", refuse: "rejected", cancel: "rejected", deadline: "timed_out", socketGone: "lost" },
  acked: {
    precommit: "precommitted",
    commit: "committed",
    refuse: "rejected",
    cancel: "rejected",
    deadline: "timed_out",
    socketGone: "lost",
  },
  precommitted: { commit: "committed", cancel: "rejected", deadline: "timed_out", socketGone: "lost" },
  committed: { reject: "rejected" },
  rejected: {},
  timed_out: {},
  lost: {},
} as const satisfies Moves<AttemptState, AttemptEventType>;

/** The state that `event` leads to, or `undefined` where the table has no such move. */
export function nextState<State extends string, Event extends string>(
  moves: Moves<State, Event>,
  state: State,
  event: Event,
): State | undefined {
  return moves[state][event];
}
