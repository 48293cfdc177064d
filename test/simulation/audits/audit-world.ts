import {
  type AccountId,
  accountIdSchema,
  modelHashSchema,
  type NodeId,
  nodeIdSchema,
  type TaskId,
  taskIdSchema,
} from "../../../core/ids.ts";
import {
  newReputation,
  noteOverturned,
  noteSuspicion,
  noteValidation,
  noteVerdict,
  type Reputation,
  takeBackValidation,
} from "../../../core/reputation/reputation.ts";
import { standingInTrust } from "../../../core/reputation/trust-standing.ts";
import {
  type AuditEffect,
  type AuditStep,
  openCase,
  type Party,
  stepCase,
} from "../../../core/validation/audit-case.ts";
import type { Calibration } from "../../../core/validation/calibration.ts";
import { calibrationOf } from "../../../core/validation/calibration.ts";
import { drawPositions } from "../../../core/validation/draw-positions.ts";
import { type CheckVerdict, judgeCheck } from "../../../core/validation/judge-check.ts";
import { planCase } from "../../../core/validation/plan-case.ts";
import type { Dice } from "../dice.ts";
import { type Character, type Exhibit, findingsOf, reportOf, type Truth } from "./character.ts";

/** As a model's would be that was measured: 1 in 1,000 honest means is above 0.05, another quantisation's lie about 0.3. */
const calibration: Calibration = {
  ...calibrationOf(modelHashSchema.parse("5".repeat(64))),
  isMeasured: true,
  thresholds: [
    { fromPositions: 1, meanMargin: 0.5 },
    { fromPositions: 32, meanMargin: 0.05 },
  ],
  grossMeanMargin: 0.1,
};

export interface WorldRates {
  /** Honest answers whose margins lie about the threshold: the same for all who check them. */
  odd: number;
  /** Honest answers that cheap checks find suspicious. */
  suspicious: number;
  /** Altered copies that nobody can tell from the original. */
  weakProbe: number;
  /** Times that no further validator is found though there is one. */
  nobody: number;
}

export const usualRates: WorldRates = { odd: 0.002, suspicious: 0.003, weakProbe: 0.1, nobody: 0.01 };

export interface SimulatedParty {
  readonly party: Party;
  readonly character: Character;
  reputation: Reputation;
  /** Answers it gave, and words it gave as a validator, until it was suspended. */
  tasks: number;
  words: number;
  /** Of the network's tasks, the one at which it was suspended, as a node and as a validator. */
  suspendedAtTask: number | null;
  silencedAtTask: number | null;
}

/** What one task came to, for the checkers. */
export interface TaskStory {
  maker: SimulatedParty;
  truth: Truth;
  steps: readonly AuditStep[];
  effects: readonly AuditEffect[];
}

/** Nodes, their operators and what is known of them: each task is one step, its audit included. */
export class AuditWorld {
  readonly parties: SimulatedParty[] = [];
  readonly #byNode = new Map<NodeId, SimulatedParty>();
  readonly #dice: Dice;
  readonly #rates: WorldRates;
  readonly #taskEveryMs: number;
  nowMs = 0;
  tasks = 0;
  /** Readings of an answer by a validator. */
  checks = 0;

  constructor(dice: Dice, { rates, taskEveryMs }: { rates: WorldRates; taskEveryMs: number }) {
    this.#dice = dice;
    this.#rates = rates;
    this.#taskEveryMs = taskEveryMs;
  }

  /** One more node; `isTrusted`: it has answered 10,000 tasks, of which 1,000 were checked, and checked well itself. */
  add(
    character: Character,
    { operator, isTrusted = false }: { operator: string; isTrusted?: boolean },
  ): SimulatedParty {
    const nodeId = nodeIdSchema.parse(`node_${String(this.parties.length).padStart(6, "0")}`);
    const party = { nodeId, operator: operatorOf(operator) };
    const fresh = newReputation(this.nowMs);
    const reputation = isTrusted
      ? { ...fresh, valid: 1_000, tasks: 10_000, owed: 0, validator: { ...fresh.validator, right: 50 } }
      : fresh;
    const added = { party, character, reputation, tasks: 0, words: 0, suspendedAtTask: null, silencedAtTask: null };
    this.parties.push(added);
    this.#byNode.set(nodeId, added);
    return added;
  }

  /** One task, given to `maker` or to any node that is not suspended; `undefined` where there is none. */
  step(given?: SimulatedParty): TaskStory | undefined {
    this.nowMs += this.#taskEveryMs;
    const maker = given ?? this.#dice.one(this.parties.filter(({ reputation }) => reputation.suspendedAtMs === null));
    if (maker === undefined) return undefined;
    this.tasks += 1;
    maker.tasks += 1;
    const { auditShare } = standingInTrust(maker.reputation, this.nowMs);
    const truth = this.#answer(maker, auditShare);
    const isSuspicious = truth !== "cheat" && this.#dice.isChance(this.#rates.suspicious);
    if (isSuspicious) maker.reputation = noteSuspicion(maker.reputation, this.nowMs);
    if (!isSuspicious && !this.#dice.isChance(auditShare)) return { maker, truth, steps: [], effects: [] };
    return this.#audit(maker, truth, isSuspicious ? 1 : auditShare);
  }

  #answer({ character }: SimulatedParty, auditShare: number): Truth {
    const { cheats } = character;
    const isNow = cheats?.when === "always" || (cheats?.when === "unwatched" && auditShare < 0.05);
    if (cheats !== null && isNow && this.#dice.isChance(cheats.share)) return "cheat";
    return this.#dice.isChance(this.#rates.odd) ? "odd" : "fine";
  }

  #audit(maker: SimulatedParty, truth: Truth, chosenWith: number): TaskStory {
    const taskId = taskIdSchema.parse(`task_${String(this.tasks).padStart(8, "0")}`);
    const dice = this.#dice;
    const answerTokens = dice.whole(64, 256);
    const positions = drawPositions(answerTokens, { endsByModel: dice.isChance(0.8), random: dice.random });
    const isWeak = dice.isChance(this.#rates.weakProbe);
    const real: Exhibit = {
      maker: maker.party.operator,
      isProbe: false,
      findings: findingsOf(truth, positions, dice),
    };
    const probe: Exhibit = { ...real, isProbe: true, findings: findingsOf(isWeak ? "fine" : "cheat", positions, dice) };
    let step = openCase({ makers: [maker.party], plan: planCase(dice.random) }, this.nowMs);
    const steps = [step];
    const effects: AuditEffect[] = [];
    for (;;) {
      effects.push(...step.effects);
      for (const effect of step.effects) this.#perform(effect, { maker, taskId, chosenWith });
      const asks = step.effects.at(-1);
      if (asks?.type === "askValidator") {
        step = this.#ask(step, asks, { exhibit: asks.kind === "probe" ? probe : real, answerTokens });
      } else if (step.auditCase.state === "invalid" && dice.isChance(maker.character.cheats === null ? 1 : 0.3)) {
        step = stepCase(step.auditCase, { type: "appealed" }, this.nowMs);
      } else return { maker, truth, steps, effects };
      steps.push(step);
      // An appeal that nobody hears is made once more at most, or this would not end in a network without validators.
      if (steps.length > 20) return { maker, truth, steps, effects };
    }
  }

  #ask(
    { auditCase }: AuditStep,
    asks: Extract<AuditEffect, { type: "askValidator" }>,
    { exhibit, answerTokens }: { exhibit: Exhibit; answerTokens: number },
  ): AuditStep {
    const excluded = new Set(asks.excludeOperators);
    const free = this.parties.filter(
      ({ party, reputation }) =>
        !excluded.has(party.operator) &&
        reputation.suspendedAtMs === null &&
        reputation.validator.suspendedAtMs === null,
    );
    const validator = this.#dice.isChance(this.#rates.nobody) ? undefined : this.#dice.one(free);
    if (validator === undefined) return stepCase(auditCase, { type: "noValidator" }, this.nowMs);
    validator.words += 1;
    this.checks += 1;
    const report = reportOf(validator.character.checks, exhibit, this.#dice);
    const verdict = judged(report, { answerTokens, positions: exhibit.findings.map(({ position }) => position) });
    const { isTrustedValidator } = standingInTrust(validator.reputation, this.nowMs);
    const event = { type: "checked", validator: validator.party, verdict, isTrusted: isTrustedValidator } as const;
    return stepCase(auditCase, event, this.nowMs);
  }

  #perform(
    effect: AuditEffect,
    { maker, taskId, chosenWith }: { maker: SimulatedParty; taskId: TaskId; chosenWith: number },
  ): void {
    const { nowMs } = this;
    switch (effect.type) {
      case "settle": {
        const { outcome, isGross, confirmedBy, isShort } = effect;
        if (outcome !== "valid" && outcome !== "invalid") return;
        const verdict = { taskId, outcome, isGross, chosenWith, confirmedBy, isShort };
        maker.reputation = noteVerdict(maker.reputation, verdict, nowMs);
        break;
      }
      case "settleAppeal":
        if (effect.outcome === "overturned") maker.reputation = noteOverturned(maker.reputation, taskId, nowMs);
        break;
      case "validations":
      case "takeBack": {
        const note = effect.type === "takeBack" ? takeBackValidation : noteValidation;
        for (const { validator, wasRight, isProbe } of effect.validations) {
          const marked = this.#byNode.get(validator.nodeId);
          if (marked !== undefined) marked.reputation = note(marked.reputation, { taskId, wasRight, isProbe }, nowMs);
        }
        break;
      }
      case "askValidator":
      case "tell":
    }
    for (const each of this.parties) {
      if (each.reputation.suspendedAtMs === null) each.suspendedAtTask = null;
      else each.suspendedAtTask ??= this.tasks;
      if (each.reputation.validator.suspendedAtMs === null) each.silencedAtTask = null;
      else each.silencedAtTask ??= this.tasks;
    }
  }
}

/** An operator's account by its name. */
export function operatorOf(name: string): AccountId {
  return accountIdSchema.parse(`operator${name.toLowerCase()}`);
}

function judged(
  report: ReturnType<typeof reportOf>,
  { answerTokens, positions }: { answerTokens: number; positions: readonly number[] },
): CheckVerdict {
  const claims = { promptTokens: 9, checkedPromptTokens: 9, isCommitmentGood: true, answerTokens, positions };
  const verdict = judgeCheck(report, claims, calibration);
  if (verdict === undefined) throw new Error("a report of this simulation answers what was asked");
  return verdict;
}
