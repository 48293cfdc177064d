import { describe, expect, test } from "vitest";
import { seededRandom } from "../testing/seeded-random.ts";
import { brief, eventOf, maker, party, plainPlan, plausible, play } from "./audit.fixture.ts";
import { type AuditEffect, type AuditPlan, auditCaseSchema, openCase, stepCase, waitMsOf } from "./audit-case.ts";
import { type AuditState, auditMoves, auditStates } from "./audit-moves.ts";
import type { CheckVerdict, Doubt } from "./judge-check.ts";

const second: AuditPlan = { wantsSecond: true, wantsProbe: false };
const probed: AuditPlan = { wantsSecond: false, wantsProbe: true };

describe("an answer", () => {
  test.each<[guarantee: string, words: string[], effects: string, state: AuditState]>([
    ["is valid at the first good word", ["good a"], "ask tell:valid settle:valid", "valid"],
    ["never fails on one word", ["bad a"], "ask ask", "doubting"],
    ["is doubted on two, and the caller told", ["bad a", "bad b"], "ask ask tell:invalid ask", "doubting"],
    ["fails on three words", ["bad a", "bad b", "bad c"], "ask ask tell:invalid ask settle:invalid +a+b+c", "invalid"],
    [
      "fails grossly where all three say so",
      ["gross a", "gross b", "gross c"],
      "ask ask tell:invalid ask settle:invalid! +a+b+c",
      "invalid",
    ],
    [
      "fails slightly where one of three says so",
      ["gross a", "bad b", "gross c"],
      "ask ask tell:invalid ask settle:invalid +a+b+c",
      "invalid",
    ],
    [
      "is valid where the third sides with the second, and the first has a mark",
      ["bad a", "good b", "good c"],
      "ask ask ask tell:valid settle:valid -a+b+c",
      "valid",
    ],
    [
      "fails against one who lets it pass, who has a mark",
      ["bad a", "good b", "bad c", "bad d"],
      "ask ask ask ask tell:invalid settle:invalid +a-b+c+d",
      "invalid",
    ],
    [
      "of an honest node survives two that collude, and both have a mark",
      ["bad a", "bad b", "good c", "good d", "good e"],
      "ask ask tell:invalid ask ask ask settle:valid -a-b+c+d+e",
      "valid",
    ],
    [
      "is undecided where three stand against two, and nobody has a mark",
      ["bad a", "bad b", "good c", "good d", "bad e"],
      "ask ask tell:invalid ask ask ask settle:undecided",
      "undecided",
    ],
    ["is unchecked where nobody may check it", ["none"], "ask tell:unchecked settle:unchecked", "unchecked"],
    [
      "is undecided where one alone says bad and nobody else is to be had",
      ["bad a", "none"],
      "ask ask tell:undecided settle:undecided",
      "undecided",
    ],
    [
      "fails by half where two agree and nobody else is to be had",
      ["gross a", "gross b", "none"],
      "ask ask tell:invalid ask settle:invalid!? +a+b",
      "invalid",
    ],
    [
      "of an honest node survives two that collude where just two others are there",
      ["bad a", "bad b", "good c", "good d", "none"],
      "ask ask tell:invalid ask ask ask settle:undecided",
      "undecided",
    ],
    [
      "is undecided where two disagree and nobody else is to be had",
      ["bad a", "good b", "none"],
      "ask ask ask tell:undecided settle:undecided",
      "undecided",
    ],
  ])("%s", (_guarantee, words, effects, state) => {
    const step = play(words);
    expect([brief(step.effects), step.auditCase.state]).toEqual([effects, state]);
  });
});

describe("a second word", () => {
  test.each<[guarantee: string, plan: AuditPlan, words: string[], effects: string]>([
    [
      "is asked for by the dice, and the caller does not wait for it",
      second,
      ["good a", "good b"],
      "ask tell:valid ask settle:valid +a+b",
    ],
    [
      "is asked for where the first is not trusted yet",
      plainPlan,
      ["new good a", "good b"],
      "ask tell:valid ask settle:valid +a+b",
    ],
    ["that nobody can give leaves the first", second, ["good a", "none"], "ask tell:valid ask settle:valid"],
    [
      "finds one who lets a cheat pass",
      second,
      ["good a", "bad b", "bad c", "bad d"],
      "ask tell:valid ask ask ask settle:invalid -a+b+c+d",
    ],
    [
      "that is bad does not stand against two",
      second,
      ["good a", "bad b", "good c"],
      "ask tell:valid ask ask settle:valid +a-b+c",
    ],
  ])("%s", (_guarantee, plan, words, effects) => {
    expect(brief(play(words, plan).effects)).toBe(effects);
  });
});

describe("a probe", () => {
  const opening = "ask tell:valid settle:valid probe";
  test.each<[guarantee: string, words: string[], effects: string, state: AuditState]>([
    ["that is found bad counts for its validator", ["good a", "bad b"], `${opening} +b`, "valid"],
    [
      "that is found good counts against it once two others find it bad",
      ["good a", "good b", "bad c", "bad d"],
      `${opening} probe probe -b+c+d`,
      "valid",
    ],
    [
      "that two find good was no probe, and counts for nothing",
      ["good a", "good b", "good c"],
      `${opening} probe`,
      "valid",
    ],
    ["that nobody takes is dropped", ["good a", "none"], opening, "valid"],
    ["that nobody confirms counts against nobody", ["good a", "good b", "none"], `${opening} probe`, "valid"],
    [
      "that one alone confirms counts against nobody",
      ["good a", "good b", "bad c", "good d"],
      `${opening} probe probe`,
      "valid",
    ],
    [
      "that one alone can confirm counts against nobody",
      ["good a", "good b", "bad c", "none"],
      `${opening} probe probe`,
      "valid",
    ],
    [
      "is not made of an answer that one found bad",
      ["bad a", "good b", "good c"],
      "ask ask ask tell:valid settle:valid -a+b+c",
      "valid",
    ],
  ])("%s", (_guarantee, words, effects, state) => {
    const step = play(words, probed);
    expect([brief(step.effects), step.auditCase.state]).toEqual([effects, state]);
  });
});

describe("an appeal", () => {
  const failed = ["bad a", "bad b", "bad c", "appeal"];
  const short = ["bad a", "bad b", "none", "appeal"];
  const split = ["bad a", "good b", "bad c", "bad d", "appeal"];
  test.each<[guarantee: string, words: string[], effects: string, state: AuditState]>([
    ["is upheld by one more bad word", [...failed, "bad d"], "upheld +d", "upheld"],
    ["is not won by one good word against three", [...failed, "good d"], "ask", "appealed"],
    [
      "is won by two, and what validators got is taken back",
      [...failed, "good d", "good e"],
      "overturned back+a+b+c",
      "overturned",
    ],
    ["marks a friend who stands alone", [...failed, "good d", "bad e"], "upheld -d+e", "upheld"],
    ["is lost where nobody else can be asked", [...failed, "good d", "none"], "upheld -d", "upheld"],
    ["that nobody can hear may be made again", [...failed, "none"], "", "invalid"],
    ["against two is won by one good word", [...short, "good c"], "overturned back+a+b", "overturned"],
    [
      "against three of four is won by one good word, and the fourth was not wrong",
      [...split, "good e"],
      "overturned back+a-b+c+d",
      "overturned",
    ],
  ])("%s", (_guarantee, words, effects, state) => {
    const before = play(words.slice(0, words.indexOf("appeal") + 1));
    const step = play(words);
    // Only what came of the last word, or of the words after the appeal.
    const after = step.effects.slice(before.effects.length);
    const last =
      words.length - words.indexOf("appeal") === 2 ? after : after.filter((each) => each.type !== "askValidator");
    expect([brief(last), step.auditCase.state]).toEqual([effects, state]);
  });

  test.each<[what: string, words: string[]]>([
    ["a valid answer", ["good a"]],
    ["one not settled yet", ["bad a"]],
    ["one that was upheld", [...failed, "bad d"]],
  ])("of %s is ignored", (_what, words) => {
    const { auditCase } = play(words);
    expect(stepCase(auditCase, { type: "appealed" }, 2_000)).toEqual({ auditCase, effects: [], ignored: "appealed" });
  });
});

describe("a word on the losing side", () => {
  const measured = (meanMargin: number, endMargin = 0): CheckVerdict => {
    const isBad = meanMargin > 0.05 || endMargin > 2;
    const reasons: Doubt[] = isBad ? [endMargin > 2 ? "end_margin" : "margin"] : [];
    return { ...plausible, outcome: isBad ? "implausible" : "plausible", meanMargin, endMargin, reasons };
  };
  const forged: CheckVerdict = { ...plausible, outcome: "implausible", reasons: ["text"] };
  test.each<[guarantee: string, verdicts: CheckVerdict[], marks: string]>([
    ["that measured about the same is no mark", [measured(0.06), measured(0.04), measured(0.045)], "+b+c"],
    ["that measured ten times as much is one", [measured(0.06), measured(0.005), measured(0.006)], "-a+b+c"],
    [
      "that measured nothing where others did is one",
      [measured(0.06), measured(0), measured(0.07), measured(0.06)],
      "+a-b+c+d",
    ],
    [
      "that measured a little less is no mark",
      [measured(0.06), measured(0.045), measured(0.07), measured(0.06)],
      "+a+c+d",
    ],
    [
      "about an end that was nearly the choice is no mark",
      [measured(0, 2.1), measured(0, 1.8), measured(0, 1.9)],
      "+b+c",
    ],
    ["about an end that was the choice is one", [measured(0, 2.1), measured(0), measured(0)], "-a+b+c"],
    ["about what is so or not is one", [forged, measured(0.005), measured(0.005)], "-a+b+c"],
    ["that overlooks what is so or not is one", [forged, measured(0.005), forged, forged], "+a-b+c+d"],
  ])("%s", (_guarantee, verdicts, marks) => {
    let step = openCase({ makers: [maker], plan: plainPlan }, 0);
    for (const [index, verdict] of verdicts.entries()) {
      const validator = party("abcd".charAt(index));
      step = stepCase(step.auditCase, { type: "checked", validator, verdict, isTrusted: true }, 1);
    }
    expect(brief(step.effects).split(" ").at(-1)).toBe(marks);
  });
});

test("a case waits long for who decides it, and briefly for who tests a validator", () => {
  const waits = ["open", "doubting", "appealed", "seconding", "probing", "confirming_probe"] as const;
  expect(waits.map((state) => waitMsOf({ state }))).toEqual([6e5, 6e5, 6e5, 3e4, 3e4, 3e4]);
});

test("nobody with a part in the case is asked again, nor is any node of theirs", () => {
  const { auditCase, effects } = play(["bad a", "good b"]);
  expect(effects.at(-1)).toEqual({
    type: "askValidator",
    kind: "real",
    excludeNodes: [maker, party("a"), party("b")].map(({ nodeId }) => nodeId),
    excludeOperators: [maker, party("a"), party("b")].map(({ operator }) => operator),
  });
  const again = stepCase(
    auditCase,
    { type: "checked", validator: party("c", "a"), verdict: plausible, isTrusted: true },
    2_000,
  );
  expect([again.ignored, again.auditCase]).toEqual(["checked", auditCase]);
});

test.each(["valid", "invalid", "upheld", "overturned", "undecided", "unchecked"] as const)(
  "a case that is %s takes no word",
  (state) => {
    const auditCase = { ...openCase({ makers: [maker], plan: plainPlan }, 0).auditCase, state };
    for (const word of ["good a", "bad a", "none"]) {
      expect(stepCase(auditCase, eventOf(word), 1).auditCase).toEqual(auditCase);
    }
  },
);

test("every state but the first is reached by some move, and the last four are left by none", () => {
  const reached = new Set<AuditState>(["open"]);
  for (const state of reached) for (const next of Object.values(auditMoves[state])) reached.add(next);
  expect([...reached].toSorted()).toEqual([...auditStates].toSorted());
  for (const state of ["upheld", "overturned", "undecided", "unchecked"] as const)
    expect(auditMoves[state]).toEqual({});
});

test("whatever is said in whatever order, a case ends, and nothing counts on one operator's word", () => {
  const random = seededRandom(1);
  for (let round = 0; round < 400; round += 1) {
    const badness = random();
    const plan = { wantsSecond: random() < 0.5, wantsProbe: random() < 0.5 };
    let step = openCase({ makers: [maker], plan }, 0);
    const effects: AuditEffect[] = [...step.effects];
    let asked = 0;
    while (step.effects.at(-1)?.type === "askValidator") {
      asked += 1;
      const word = random() < badness ? "bad" : "good";
      const isNone = random() < 0.1;
      const event = isNone ? "none" : `${random() < 0.3 ? "new " : ""}${word} v${asked}`;
      step = stepCase(step.auditCase, eventOf(event), asked);
      expect(step.ignored).toBeUndefined();
      effects.push(...step.effects);
      if (step.auditCase.state === "invalid" && random() < 0.5) {
        step = stepCase(step.auditCase, { type: "appealed" }, asked);
        effects.push(...step.effects);
      }
      if (asked > 40) break;
    }
    expect(auditCaseSchema.parse(JSON.parse(JSON.stringify(step.auditCase)))).toEqual(step.auditCase);
    expect(effects.filter(({ type }) => type === "tell")).toHaveLength(1);
    const settled = effects.filter((effect) => effect.type === "settle");
    expect(settled).toHaveLength(1);
    for (const { outcome, confirmedBy, isShort } of settled) {
      if (outcome !== "invalid") continue;
      expect(new Set(confirmedBy).size).toBeGreaterThanOrEqual(isShort ? 2 : 3);
      expect(confirmedBy).not.toContain(maker.operator);
    }
    for (const effect of effects) {
      if (effect.type !== "validations" || effect.validations.every(({ wasRight }) => wasRight)) continue;
      const probes = effect.validations.filter(({ isProbe }) => isProbe);
      const { opinions } = step.auditCase;
      // A mark stands on two others at least.
      if (probes.length > 0) expect(probes).toHaveLength(3);
      else expect(opinions.length - effect.validations.filter(({ wasRight }) => !wasRight).length).toBeGreaterThan(1);
    }
  }
});
