import type { NodeId } from "../../core/ids.ts";
import type { ModelCard } from "../../core/model/model-card.ts";
import type { RecordEntry, VerdictRecord } from "../../core/record/entry.ts";
import { Refusal } from "../../core/refusal.ts";
import type { TrustStanding } from "../../core/reputation/trust-standing.ts";
import type { TrustMark } from "../trust/trust-mark.ts";
import { migrate } from "./migrate.ts";
import { nodeMigrations } from "./node-tables.ts";
import { NodeTrust } from "./node-trust.ts";
import type { NodeStanding } from "./run.ts";
import type { StoredNode } from "./stored-node.ts";

/** What a case has come to for one node: marks on it, and the verdict for the record where it was about its answer. */
export interface Settlement {
  marks: TrustMark[];
  verdict?: VerdictRecord;
}

/** A NodeObject's {@link NodeTrust} with what follows from it: the record, the suspension, the place in the pools. */
export class TrustKeeper {
  readonly #trust: NodeTrust;
  readonly #nodeId: NodeId;
  readonly #whose: Pick<NodeStanding, "operator" | "publicKey">;
  readonly #record: (entries: RecordEntry[]) => Promise<void>;
  readonly #onSuspended: (refusal: Refusal) => void;
  readonly #onAbility: () => void;

  constructor(options: {
    storage: DurableObjectStorage;
    node: Pick<StoredNode, "nodeId" | "accountId" | "publicKey">;
    /** Keeps entries for Postgres. */
    record: (entries: RecordEntry[]) => Promise<void>;
    /** The node gets no more work, and is told why; what it works on goes elsewhere. */
    onSuspended: (refusal: Refusal) => void;
    /** Whether it may check others' answers has changed. */
    onAbility: () => void;
  }) {
    // An object that joined under an older version of the tables gets those of this one.
    migrate(options.storage, nodeMigrations);
    this.#trust = new NodeTrust(options.storage.sql);
    const { nodeId, accountId: operator, publicKey } = options.node;
    this.#nodeId = nodeId;
    this.#whose = { operator, publicKey };
    this.#record = options.record;
    this.#onSuspended = options.onSuspended;
    this.#onAbility = options.onAbility;
  }

  standing(): TrustStanding {
    return this.#trust.standing(Date.now());
  }

  marks(): TrustMark[] {
    return this.#trust.marks();
  }

  /** The no to a suspended node's socket; `undefined` for one that is not. */
  suspension(): Refusal | undefined {
    const standing = this.standing();
    return standing.isSuspended ? suspensionOf(standing) : undefined;
  }

  /** Counts what a case has come to, each thing once. A node that is suspended by it loses its socket. */
  async settle({ marks, verdict }: Settlement): Promise<TrustStanding> {
    const nowMs = Date.now();
    const before = this.standing();
    for (const mark of marks) this.#trust.note(mark, nowMs);
    const standing = this.standing();
    const entries: RecordEntry[] = verdict === undefined ? [] : [verdict];
    if (standing.isSuspended !== before.isSuspended) entries.push(this.#entry(standing));
    if (entries.length > 0) await this.#record(entries);
    if (standing.isSuspended && !before.isSuspended) {
      console.warn("node: suspended", { nodeId: this.#nodeId, reason: standing.reason });
      this.#onSuspended(suspensionOf(standing));
    } else if (standing.mayValidate !== before.mayValidate) this.#onAbility();
    return standing;
  }

  /** A person takes a suspension back; the node begins anew. */
  async reinstate(): Promise<void> {
    this.#trust.pardon(Date.now());
    await this.#record([this.#entry(this.standing())]);
  }

  /**
   * What a Worker is told of the node with each attempt on this model, so that it need ask nobody whether to have the
   * answer checked; nothing of a model that the node has no more.
   */
  standingFor(card: ModelCard | undefined): { node?: NodeStanding } {
    if (card === undefined) return {};
    const { auditShare, isTrustedValidator } = this.standing();
    const { contextTokens, decoding } = card;
    const isVerifiable = decoding !== "own";
    return { node: { ...this.#whose, auditShare, isTrustedValidator, isVerifiable, contextTokens } };
  }

  #entry({ isSuspended, reason }: TrustStanding): RecordEntry {
    const nowMs = Date.now();
    const why = isSuspended ? reason.slice(0, 500) : null;
    const suspendedAtMs = isSuspended ? nowMs : null;
    return { kind: "suspension", nodeId: this.#nodeId, suspendedAtMs, reason: why, toldAtMs: nowMs };
  }
}

function suspensionOf({ reason }: TrustStanding): Refusal {
  return new Refusal({
    code: "suspended",
    message: `This node is suspended. ${reason} GET /v1/nodes/{id}/verdicts shows why.`,
  });
}
