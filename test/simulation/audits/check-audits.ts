import type { AuditEffect } from "../../../core/validation/audit-case.ts";
import { holds } from "../ground.ts";
import type { AuditWorld, TaskStory } from "./audit-world.ts";

/** Throws a violation where a penalty rests on too few, or meets the wrong. After every task. */
export function checkAudits(world: AuditWorld, { maker, effects, steps }: TaskStory): void {
  const said = (detail: string) => () => `${detail}: ${JSON.stringify(steps.at(-1)?.auditCase)}`;
  for (const effect of effects) {
    if (effect.type === "settle" && effect.outcome === "invalid") {
      const operators = new Set(effect.confirmedBy);
      holds(
        operators.size >= (effect.isShort ? 2 : 3),
        "no failure counts on too few operators' words",
        said("it was settled"),
      );
      holds(!operators.has(maker.party.operator), "no operator judges its own", said("it confirmed"));
    }
    if (effect.type === "tell" && effect.verdict === "invalid") {
      const { opinions } = steps.at(-1)?.auditCase ?? { opinions: [] };
      const bad = opinions.filter(({ verdict }) => verdict.outcome === "implausible");
      holds(bad.length >= 2, "no caller is told that an answer is bad on one word", said("it was told"));
    }
    if (effect.type === "validations") checkMarks(effect, steps.at(-1)?.auditCase.opinions.length ?? 0, said);
  }
  for (const { party, character, reputation } of world.parties) {
    const isCheat = character.cheats !== null;
    holds(
      reputation.suspendedAtMs === null || isCheat,
      "no honest node is suspended",
      () => `${character.name} ${party.nodeId} is, for ${JSON.stringify(reputation.failures)}`,
    );
    const isBadValidator = character.checks.type !== "honest";
    holds(
      reputation.validator.suspendedAtMs === null || isBadValidator,
      "no honest validator is silenced",
      () => `${character.name} ${party.nodeId} is: ${JSON.stringify(reputation.validator)}`,
    );
  }
}

function checkMarks(
  { validations }: Extract<AuditEffect, { type: "validations" }>,
  opinions: number,
  said: (detail: string) => () => string,
): void {
  const wrong = validations.filter(({ wasRight }) => !wasRight);
  if (wrong.length === 0) return;
  const isProbe = validations.some((each) => each.isProbe);
  const others = isProbe ? validations.length - wrong.length : opinions - wrong.length;
  holds(others >= 2, "no mark rests on one validator's word", said("it was marked"));
}
