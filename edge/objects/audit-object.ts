import { DurableObject } from "cloudflare:workers";
import { z } from "zod";
import type { NodeId } from "../../core/ids.ts";
import type { VerdictRecord } from "../../core/record/entry.ts";
import {
  type AuditCase,
  type AuditEffect,
  type AuditEvent,
  type AuditStep,
  auditCaseSchema,
  openCase,
  type Party,
  stepCase,
  type Validation,
  waitMsOf,
} from "../../core/validation/audit-case.ts";
import { drawPositions } from "../../core/validation/draw-positions.ts";
import { planCase } from "../../core/validation/plan-case.ts";
import { plantedSampling } from "../../core/validation/plant-case.ts";
import type { CheckInput, EmbedInput } from "../../core/wire/task-input.ts";
import type { Env } from "../env.ts";
import { objectStub } from "../object-stub.ts";
import { askValidator, type Word } from "../trust/ask-validator.ts";
import { type AuditOrder, auditOrderSchema } from "../trust/audit-order.ts";
import {
  type AskEffect,
  type CaseDescription,
  type Heard,
  heardSchema,
  type Work,
  workSchema,
} from "../trust/audit-work.ts";
import { isCommitmentGood as isGood } from "../trust/is-commitment-good.ts";
import { secretDice } from "../trust/secret-dice.ts";
import type { TrustMark } from "../trust/trust-mark.ts";
import type { Verdict } from "../trust/trust-policy.ts";
import { verdictRecord } from "../trust/verdict-record.ts";
import { longTexts, putText, textOf } from "./long-text.ts";
import { isMigrated, migrate } from "./migrate.ts";

/** How long a case is kept with its evidence: as long as its node may appeal. */
export const caseKeptMs = 30 * 24 * 3_600_000;
/** How long a caller waits for a verdict, and how long a case looks for a validator while one waits. */
const judgeWaitMs = 45_000;
const awaitedWaitMs = 20_000;
/** Pauses before a validator is looked for again: while a caller waits; else as long as was waited already, within bounds. */
const pauseMs = { awaited: 500, least: 5_000, most: 60_000 };
/** Pause after a fault of our own. */
const retryMs = 10_000;
/** Validators that failed at one case; past it the wait ends. */
const mostFailed = 32;

/**
 * One audited answer, from its opening to the end of its evidence. Who is asked, and what the words come to, is
 * `core/validation/audit-case.ts`'s to say; this asks, stores each step before it acts on it, and tells the nodes'
 * objects what counts for or against them. All of it is done in the alarm, which the platform rings again after a reset.
 */
export class AuditObject extends DurableObject<Env> {
  readonly #sql = this.ctx.storage.sql;
  #isKnown = isMigrated(this.ctx.storage);
  #acting: Promise<number> | undefined;
  readonly #waiting = new Set<(verdict: Verdict) => void>();

  /** Begins a case. The same may come twice. */
  async open(order: AuditOrder): Promise<void> {
    if (!this.#isKnown) await this.#begin(order);
  }

  /** Begins a case and waits for what its caller may be told; `pending` where that takes too long. */
  async judge(order: AuditOrder): Promise<Verdict> {
    await this.open(order);
    const told = this.#case().told;
    if (told !== null) return told;
    return new Promise((resolve) => {
      const done = (verdict: Verdict) => {
        clearTimeout(timer);
        this.#waiting.delete(done);
        resolve(verdict);
      };
      const timer = setTimeout(() => done("pending"), judgeWaitMs);
      this.#waiting.add(done);
    });
  }

  /** The operator of this node asks for one more validator. False where there is nothing to appeal. */
  async appeal(nodeId: NodeId): Promise<boolean> {
    if (!this.#isKnown || this.#accused().nodeId !== nodeId || this.#case().state !== "invalid") return false;
    this.#take({ type: "appealed" });
    await this.ctx.storage.setAlarm(Date.now());
    return true;
  }

  /** The case about this node's answer ({@link CaseDescription}) as JSON; `undefined` where there is none. */
  describe(nodeId: NodeId): string | undefined {
    const described = this.#describe(nodeId);
    return described && JSON.stringify(described);
  }

  #describe(nodeId: NodeId): CaseDescription | undefined {
    if (!this.#isKnown || this.#accused().nodeId !== nodeId) return undefined;
    const order = this.#order();
    const { input, tokenIds, text, finishReason, stopSequence, commitment } = order;
    const { state, openedAtMs } = this.#case();
    // A test of a validator is nobody's business but the network's.
    const checks = this.#heard().filter(({ kind }) => kind === "real");
    return {
      ...{ taskId: order.taskId, state: state === "probing" || state === "confirming_probe" ? "valid" : state, nodeId },
      ...{ openedAtMs, suspicions: order.suspicions },
      isCommitmentGood: this.#work().isCommitmentGood,
      order: { input, tokenIds, text, finishReason, stopSequence, commitment },
      checks: checks.map(({ verdict, report, atMs }, place) => ({ validator: place + 1, verdict, report, atMs })),
    };
  }

  override async alarm(): Promise<void> {
    if (!this.#isKnown) return;
    let nextMs: number;
    try {
      // One at a time, whoever rings: a question that was put twice would be answered twice.
      this.#acting ??= this.#act().finally(() => {
        this.#acting = undefined;
      });
      nextMs = await this.#acting;
    } catch (error) {
      console.error("audit: a step failed and is tried again", { error: String(error) });
      nextMs = Date.now() + retryMs;
    }
    if (this.#isKnown) await this.ctx.storage.setAlarm(nextMs);
  }

  async #begin(order: AuditOrder): Promise<void> {
    const dice = await secretDice(this.env, `plan ${order.taskId}`);
    // Another call may have begun it meanwhile.
    if (this.#isKnown) return;
    const nowMs = Date.now();
    const plan = planCase(dice);
    const makers: Party[] = [];
    for (const { nodeId, operator } of order.parts) {
      if (!makers.some((maker) => maker.nodeId === nodeId)) makers.push({ nodeId, operator });
    }
    // The numbers of an embedding cannot be altered unseen: whoever makes them anew is tested by that alone.
    const isProbeable = order.input.kind !== "embedding";
    const opened = openCase({ makers, plan: { ...plan, wantsProbe: plan.wantsProbe && isProbeable } }, nowMs);
    const work: Work = {
      ...{ ask: null, askedAtMs: nowMs, questions: 0, failedNodeIds: [], isCommitmentGood: null, accused: null },
      ...{ revision: 0, outbox: [] },
    };
    if (order.suspicions.length > 0) {
      const id = `${order.taskId}/suspicion`;
      const mark = { type: "suspicion", id, taskId: order.taskId, atMs: nowMs, of: order.suspicions } as const;
      const last = order.parts.at(-1);
      if (last !== undefined) work.outbox.push({ nodeId: last.nodeId, marks: [mark] });
    }
    migrate(this.ctx.storage, [longTexts(1)]);
    this.#isKnown = true;
    this.ctx.storage.transactionSync(() => {
      putText(this.#sql, "order", JSON.stringify(order));
      putText(this.#sql, "heard", "[]");
      this.#keep(opened, { order, work, nowMs });
    });
    await this.ctx.storage.setAlarm(nowMs);
  }

  /** Does what is next. Returns when to ring again. */
  async #act(): Promise<number> {
    for (;;) {
      await this.#tellNodes();
      const { ask } = this.#work();
      if (ask === null) {
        const endMs = this.#case().openedAtMs + caseKeptMs;
        if (Date.now() < endMs) return endMs;
        this.#isKnown = false;
        await this.ctx.storage.deleteAll();
        return endMs;
      }
      const pause = await this.#ask(ask);
      if (pause !== undefined) return Date.now() + pause;
    }
  }

  /** Puts one question. Returns how long to wait where nobody could answer it. */
  async #ask(ask: AskEffect): Promise<number | undefined> {
    const order = this.#order();
    const work = this.#work();
    const isCommitmentGood = work.isCommitmentGood ?? (await isGood(order));
    const question = work.questions;
    const word = await askValidator(
      {
        ...{ order, isCommitmentGood, accused: work.accused, excludeOperators: ask.excludeOperators },
        input: await this.#question(order, { kind: ask.kind, question }),
        excludeNodes: [...ask.excludeNodes, ...work.failedNodeIds],
      },
      { env: this.env, waitUntil: (promise) => this.ctx.waitUntil(promise) },
    );
    this.#change({ isCommitmentGood, questions: question + 1 });
    if (word.kind === "told") {
      this.#hear(ask, word);
      return undefined;
    }
    if (word.kind === "failed") this.#change({ failedNodeIds: [...work.failedNodeIds, ...word.nodeIds] });
    const isAwaited = order.isAwaited && this.#case().told === null;
    const waitMs = isAwaited ? awaitedWaitMs : waitMsOf(this.#case());
    const waitedMs = Date.now() - work.askedAtMs;
    if (waitedMs >= waitMs || work.failedNodeIds.length >= mostFailed) {
      this.#take({ type: "noValidator" });
      return undefined;
    }
    return isAwaited ? pauseMs.awaited : Math.min(pauseMs.most, Math.max(pauseMs.least, waitedMs));
  }

  /** What a validator gets. Positions are drawn anew for each question, so that no two look at the same ones. */
  async #question(
    order: AuditOrder,
    { kind, question }: { kind: AskEffect["kind"]; question: number },
  ): Promise<CheckInput | EmbedInput> {
    const { input, tokenIds, text, finishReason, stopSequence, contextTokens } = order;
    if (input.kind === "embedding") return input;
    const random = await secretDice(this.env, `question ${question} ${order.taskId}`);
    const endsByModel = finishReason === "stop" && stopSequence === null;
    const of = kind === "real" ? input : { ...input, sampling: plantedSampling(input.sampling, random) };
    return {
      ...({ kind: "check", of, tokenIds, text, finishReason, contextTokens } as const),
      ...(stopSequence === null ? {} : { stopSequence }),
      ...(order.parts.length > 1 ? { isOfSeveral: true } : {}),
      positions: drawPositions(tokenIds.length, { endsByModel, random }),
    };
  }

  #hear({ kind }: AskEffect, { validator, isTrusted, verdict, report, part }: Extract<Word, { kind: "told" }>): void {
    const isFirstDoubt = kind === "real" && verdict.outcome === "implausible" && this.#work().accused === null;
    const atMs = Date.now();
    this.ctx.storage.transactionSync(() => {
      if (isFirstDoubt) this.#change({ accused: part });
      const heard: Heard = { kind, validatorId: validator.nodeId, verdict, report, atMs };
      putText(this.#sql, "heard", JSON.stringify([...this.#heard(), heard]));
      this.#take({ type: "checked", validator, verdict, isTrusted });
    });
  }

  #take(event: AuditEvent): void {
    const nowMs = Date.now();
    const step = stepCase(this.#case(), event, nowMs);
    if (step.ignored !== undefined) {
      console.warn("audit: a word came that the case did not wait for", { event: step.ignored });
      return;
    }
    this.ctx.storage.transactionSync(() => this.#keep(step, { order: this.#order(), work: this.#work(), nowMs }));
  }

  /** Stores a step with all that it asks for: what was stored is done, however often the object is reset. */
  #keep(
    { auditCase, effects }: AuditStep,
    { order, work, nowMs }: { order: AuditOrder; work: Work; nowMs: number },
  ): void {
    const next: Work = { ...work, ask: null, outbox: [...work.outbox] };
    for (const effect of effects) this.#plan(effect, { order, auditCase, work: next, nowMs });
    putText(this.#sql, "case", JSON.stringify(auditCase));
    this.#putWork(next);
    if (auditCase.told === null) return;
    for (const done of [...this.#waiting]) done(auditCase.told);
  }

  #plan(
    effect: AuditEffect,
    { order, auditCase, work, nowMs }: { order: AuditOrder; auditCase: AuditCase; work: Work; nowMs: number },
  ): void {
    const { taskId } = order;
    const mark = { taskId, atMs: nowMs };
    const accused = order.parts[work.accused ?? order.parts.length - 1];
    if (accused === undefined) throw new Error("an answer that nobody made is audited");
    const tell = (nodeId: NodeId, marks: TrustMark[], verdict?: VerdictRecord) =>
      work.outbox.push({ nodeId, marks, ...(verdict === undefined ? {} : { verdict }) });
    switch (effect.type) {
      case "tell":
        break;
      case "askValidator":
        work.ask = {
          type: "askValidator",
          kind: effect.kind,
          excludeNodes: [...effect.excludeNodes],
          excludeOperators: [...effect.excludeOperators],
        };
        work.askedAtMs = nowMs;
        break;
      case "settle": {
        const { outcome, isGross, isShort, confirmedBy } = effect;
        const makers = outcome === "valid" ? auditCase.makers.map(({ nodeId }) => nodeId) : [accused.nodeId];
        const counts = outcome === "valid" || outcome === "invalid" ? makers : [];
        for (const nodeId of counts) {
          if (outcome !== "valid" && outcome !== "invalid") break;
          const id = `${taskId}/verdict`;
          const { chosenWith } = order;
          const said = { outcome, isGross, isShort, chosenWith, confirmedBy: [...confirmedBy] };
          tell(nodeId, [{ ...mark, type: "verdict", id, ...said }]);
        }
        work.revision += 1;
        tell(accused.nodeId, [], verdictRecord(outcome, { order, auditCase, accused, revision: work.revision, nowMs }));
        break;
      }
      case "settleAppeal": {
        const isOverturned = effect.outcome === "overturned";
        const marks: TrustMark[] = isOverturned ? [{ ...mark, type: "overturned", id: `${taskId}/overturned` }] : [];
        const outcome = isOverturned ? "valid" : "invalid";
        work.revision += 1;
        tell(
          accused.nodeId,
          marks,
          verdictRecord(outcome, { order, auditCase, accused, revision: work.revision, nowMs }),
        );
        break;
      }
      case "validations":
      case "takeBack": {
        const type = effect.type === "takeBack" ? "takeBack" : "validation";
        for (const { validator, wasRight, isProbe } of effect.validations) {
          const id = `${taskId}/${isProbe ? "probe" : "check"}/${type}`;
          tell(validator.nodeId, [
            { ...mark, type, id, wasRight, isProbe } satisfies Omit<Validation, "validator"> & TrustMark,
          ]);
        }
      }
    }
  }

  /** Tells nodes' objects what is to be told, oldest first; each counts what it hears once. */
  async #tellNodes(): Promise<void> {
    for (;;) {
      const [first] = this.#work().outbox;
      if (first === undefined) return;
      const { nodeId, marks, verdict } = first;
      await objectStub(this.env.NODE, nodeId).settle({ marks, ...(verdict === undefined ? {} : { verdict }) });
      // Nothing but this takes entries out, and new ones come at the end.
      this.#change({ outbox: this.#work().outbox.slice(1) });
    }
  }

  /** Whose answer, or part of it, the case is about. */
  #accused(): AuditOrder["parts"][number] {
    const { parts } = this.#order();
    const accused = parts[this.#work().accused ?? parts.length - 1];
    if (accused === undefined) throw new Error("an answer that nobody made is audited");
    return accused;
  }

  #change(fields: Partial<Work>): void {
    this.#putWork({ ...this.#work(), ...fields });
  }

  #putWork(work: Work): void {
    putText(this.#sql, "work", JSON.stringify(work));
  }

  #work(): Work {
    return workSchema.parse(this.#json("work"));
  }

  #case(): AuditCase {
    return auditCaseSchema.parse(this.#json("case"));
  }

  #order(): AuditOrder {
    return auditOrderSchema.parse(this.#json("order"));
  }

  #heard(): Heard[] {
    return z.array(heardSchema).parse(this.#json("heard"));
  }

  #json(name: string): unknown {
    return JSON.parse(textOf(this.#sql, name) ?? "null");
  }
}
