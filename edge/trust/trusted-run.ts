import type { Evidence } from "../../core/commitment/evidence.ts";
import type { NodeId, TaskId } from "../../core/ids.ts";
import { Refusal } from "../../core/refusal.ts";
import type { Delivery } from "../../core/task/driver-step.ts";
import { cheapChecks, type Suspicion } from "../../core/validation/cheap-checks.ts";
import { isCheckable } from "../../core/validation/is-checkable.ts";
import type { TaskInput } from "../../core/wire/task-input.ts";
import type { ServedModel } from "../objects/status-object.ts";
import type { NodeWish, TaskRun } from "../task-run.ts";
import type { AuditOrder } from "./audit-order.ts";
import type { TrustWish, Verdict } from "./trust-policy.ts";

type End = Extract<Delivery, { type: "end" }>;
export type AnswerInput = Exclude<TaskInput, { kind: "check" }>;

/** Who has answers checked. */
export interface Auditing {
  /** A number from 0 up to 1 that no node can know. */
  draw(text: string): Promise<number>;
  /** Has an answer checked, without waiting. */
  open(order: AuditOrder): Promise<void>;
  /** Has it checked and waits for the verdict, for a while: `pending` where it did not come. */
  judge(order: AuditOrder): Promise<Verdict>;
}

/** Nodes that answer anew, one after the other, where a check rejects what the one before said. */
const mostAnswers = 3;
/** Bytes a second that no memory of one machine reads: each token of a stream reads the whole model once. */
const fastestMemory = 2e13;

/** A task's answer with what is known of its trustworthiness, for who hands it to the caller. */
export type Answering = Pick<
  TrustedRun,
  "taskId" | "createdAtMs" | "nodeIds" | "promptTokens" | "network" | "begin" | "ready" | "next" | "cancel"
>;

/**
 * One answer under a trust policy. It passes a task's answer on, looks at it at its end, and decides then whether it is
 * checked: under `sampled` what came is the caller's at once, under `checked` the end waits for the verdict, and an
 * answer that nobody has seen yet is made anew by another node where a check rejects it.
 */
export class TrustedRun {
  readonly #startRun: (wish: NodeWish) => TaskRun;
  readonly #model: ServedModel;
  readonly #input: AnswerInput;
  readonly #isWhole: boolean;
  readonly #wish: TrustWish;
  readonly #auditing: Auditing;
  readonly #waitUntil: (promise: Promise<unknown>) => void;
  #run: TaskRun;
  #answers = 1;
  /** Nodes whose answers were rejected. */
  readonly #rejected: NodeId[] = [];
  /** What is there and was not handed on. */
  #ready: Delivery[] = [];
  /** What nobody may see before it is checked. */
  #held: Delivery[] = [];
  #end: End | undefined;
  #vectors = new Map<number, string>();
  #verdict: Verdict = "unchecked";
  #suspicions: Suspicion[] = [];
  #evidence: Evidence | undefined;
  #isCancelled = false;

  constructor(options: {
    startRun: (wish: NodeWish) => TaskRun;
    model: ServedModel;
    input: AnswerInput;
    /** True where nobody reads before the end. */
    isWhole: boolean;
    wish: TrustWish;
    auditing: Auditing;
    waitUntil: (promise: Promise<unknown>) => void;
  }) {
    this.#startRun = options.startRun;
    this.#model = options.model;
    this.#input = options.input;
    this.#isWhole = options.isWhole;
    this.#wish = options.wish;
    this.#auditing = options.auditing;
    this.#waitUntil = options.waitUntil;
    this.#run = this.#newRun();
  }

  get taskId(): TaskId {
    return this.#run.taskId;
  }

  get createdAtMs(): number {
    return this.#run.createdAtMs;
  }

  get nodeIds(): readonly NodeId[] {
    return this.#run.nodeIds;
  }

  get promptTokens(): number {
    return this.#run.promptTokens;
  }

  /** The extension object of the answer: its task and nodes, and how far it is to be trusted. */
  get network(): object {
    const { taskId, nodeIds: nodes } = this.#run;
    return {
      ...{ taskId, nodes, trust: this.#wish.trust, verdict: this.#verdict },
      ...(this.#suspicions.length === 0 ? {} : { suspicions: this.#suspicions }),
      ...(this.#evidence === undefined ? {} : { evidence: this.#evidence }),
    };
  }

  /** As {@link TaskRun.begin}. */
  async begin(): Promise<void> {
    await this.#run.begin();
    this.#take(this.#run.ready());
    // What ends at once is told at once, unless a check is to be waited for.
    if (this.#end !== undefined && this.#wish.trust !== "checked") await this.#settle(this.#end);
  }

  /** What is there and was not given before, without waiting. */
  ready(): Delivery[] {
    return this.#ready.splice(0);
  }

  /** As {@link TaskRun.next}. Refusals of its own: `answer_rejected`, `answer_unchecked`. */
  async next(): Promise<Delivery[]> {
    for (;;) {
      // Another node may answer anew, whose answer ends too.
      while (this.#end !== undefined) await this.#settle(this.#end);
      if (this.#ready.length > 0) return this.ready();
      if (this.#isCancelled) return [];
      const parts = await this.#run.next();
      if (parts.length === 0) return [];
      this.#take(parts);
      if (this.#end === undefined && this.#ready.length > 0) return this.ready();
    }
  }

  /** As {@link TaskRun.cancel}. */
  cancel(): void {
    this.#isCancelled = true;
    this.#run.cancel();
  }

  #newRun(): TaskRun {
    const { trust, wantsEvidence } = this.#wish;
    return this.#startRun({
      ...(trust === "checked" ? { needs: "verifiable", isToBeChecked: true } : {}),
      ...(wantsEvidence ? { wantsPromptIds: true } : {}),
      ...(this.#rejected.length === 0 ? {} : { exclude: this.#rejected }),
    });
  }

  #take(parts: readonly Delivery[]): void {
    const isHeld = this.#wish.trust === "checked" && this.#isWhole;
    for (const part of parts) {
      if (part.type === "end") {
        this.#end = part;
        continue;
      }
      if (part.type === "restart") this.#vectors.clear();
      if (part.type === "deliverVectors") {
        for (const { index, float32 } of part.vectors) this.#vectors.set(index, float32);
      }
      if (isHeld) this.#held.push(part);
      else this.#ready.push(part);
    }
  }

  /** The answer is whole: has it checked where it is to be, and hands its end on. */
  async #settle(end: End): Promise<void> {
    this.#end = undefined;
    this.#suspicions = this.#atSight(end);
    if (this.#wish.trust !== "single") {
      const order = this.#order(end);
      if (this.#wish.trust === "checked") {
        if (order === undefined) throw this.#unchecked();
        if (!(await this.#judge(order))) return;
      } else if (order !== undefined) await this.#sample(order);
    }
    if (this.#wish.wantsEvidence) this.#evidence = this.#evidenceOf(end);
    this.#ready.push(...this.#held.splice(0), end);
  }

  /** Chooses by a secret, now that the node has committed to its answer. */
  async #sample(order: AuditOrder): Promise<void> {
    const head = order.commitment?.head ?? "";
    const { chosenWith } = order;
    if (chosenWith < 1 && (await this.#auditing.draw(`${order.taskId}\n${head}`)) >= chosenWith) return;
    this.#verdict = "pending";
    this.#waitUntil(this.#auditing.open(order));
  }

  /** Waits for the verdict. False where another node answers anew. */
  async #judge(order: AuditOrder): Promise<boolean> {
    this.#verdict = await this.#auditing.judge(order);
    if (this.#isCancelled) return false;
    if (this.#verdict === "valid") return true;
    if (this.#verdict !== "invalid") throw this.#unchecked();
    this.#rejected.push(...order.parts.map(({ nodeId }) => nodeId));
    if (!this.#isWhole || this.#answers >= mostAnswers) throw this.#invalid();
    this.#answers += 1;
    this.#held = [];
    this.#vectors = new Map();
    this.#run = this.#newRun();
    await this.#run.begin();
    this.#take(this.#run.ready());
    return false;
  }

  #atSight({ finishReason, stopSequence, promptTokens }: End): Suspicion[] {
    const input = this.#textInput();
    if (input === undefined) return [];
    const { tokenIds, text } = this.#run.making;
    const { card } = this.#model;
    const contextTokens = this.#contextTokens;
    return cheapChecks({
      ...{ tokenIds, text, finishReason, promptTokens },
      ...(stopSequence === undefined ? {} : { stopSequence }),
      maxTokens: input.sampling.maxTokens,
      contextTokens,
      totalMs: this.#run.workedMs,
      fastestTokensPerSecond: fastestMemory / card.sizeBytes,
    });
  }

  /** What the node reads that ended the answer. */
  get #contextTokens(): number {
    const last = this.#run.making.parts.at(-1);
    const node = last === undefined ? undefined : this.#run.standingOf(last.attemptId);
    return node?.contextTokens ?? this.#model.card.contextTokens;
  }

  /** What was asked for, where its answer is text. */
  #textInput(): Exclude<AnswerInput, { kind: "embedding" }> | undefined {
    return this.#input.kind === "embedding" ? undefined : this.#input;
  }

  /** The answer as it is handed over to be checked; `undefined` where nobody could check it. */
  #order({ finishReason, stopSequence }: End): AuditOrder | undefined {
    const { making } = this.#run;
    const parts: AuditOrder["parts"] = [];
    let auditShare = 0;
    for (const part of making.parts) {
      const node = this.#run.standingOf(part.attemptId);
      if (node === undefined) return undefined;
      const decoding = node.isVerifiable ? "verifiable" : "own";
      if (!isCheckable(this.#input, decoding)) return undefined;
      auditShare = Math.max(auditShare, node.auditShare);
      parts.push({ ...part, operator: node.operator, publicKey: node.publicKey, decoding });
    }
    if (parts.length === 0) return undefined;
    return {
      taskId: this.taskId,
      card: this.#model.card,
      shards: this.#model.shards,
      input: this.#input,
      tokenIds: [...making.tokenIds],
      text: making.text,
      ...{ finishReason, stopSequence: stopSequence ?? null, contextTokens: this.#contextTokens },
      ...{ parts, commitment: making.commitment },
      vectors: [...this.#vectors].sort(([one], [other]) => one - other).map(([, float32]) => float32),
      chosenWith: this.#wish.trust === "checked" || this.#suspicions.length > 0 ? 1 : auditShare,
      suspicions: this.#suspicions,
      isAwaited: this.#wish.trust === "checked",
    };
  }

  #evidenceOf({ finishReason, stopSequence }: End): Evidence | undefined {
    const input = this.#textInput();
    if (input === undefined) return undefined;
    const { tokenIds, text, parts, commitment, promptIds } = this.#run.making;
    const { name, fileSha256 } = this.#model.card;
    return {
      version: 1,
      taskId: this.taskId,
      attempts: parts.flatMap((part, place) => {
        const node = this.#run.standingOf(part.attemptId);
        if (node === undefined) return [];
        const { publicKey, isVerifiable } = node;
        const stands = place === parts.length - 1 ? commitment : null;
        return [{ ...part, publicKey, commitment: stands, ...(isVerifiable ? {} : { decoding: "own" as const }) }];
      }),
      model: { name, fileSha256 },
      input,
      promptIds: promptIds === null ? null : [...promptIds],
      ...{ tokenIds: [...tokenIds], text, finishReason, stopSequence: stopSequence ?? null },
    };
  }

  #invalid(): Refusal {
    return new Refusal({
      code: "answer_rejected",
      message: this.#isWhole
        ? `${this.#answers} nodes answered one after the other, and each answer failed its check. Try again, or ask under another trust policy. The last task was ${this.taskId}.`
        : `The answer of task ${this.taskId} failed its check: it is not what this model says. Throw away what came, and send the request again.`,
    });
  }

  #unchecked(): Refusal {
    return new Refusal({
      code: "answer_unchecked",
      message: `The answer of task ${this.taskId} could not be checked: no node of another operator came to a verdict in time. Send the request again, or ask under another trust policy.`,
    });
  }
}
