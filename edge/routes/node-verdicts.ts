import type { Context } from "hono";
import { z } from "zod";
import { type NodeId, taskIdSchema } from "../../core/ids.ts";
import { Refusal } from "../../core/refusal.ts";
import type { AppEnv } from "../app-env.ts";
import { parseRequest } from "../openai/parse-request.ts";
import { readJson } from "../read-body.ts";
import { type CaseDescription, caseDescriptionSchema } from "../trust/audit-work.ts";
import type { TrustMark } from "../trust/trust-mark.ts";
import { ownNodeId } from "./nodes.ts";

/** Cases whose evidence is told with a list; of the others only that there was one. */
const listedCases = 20;

export const appealSchema = z.strictObject({ task: taskIdSchema });

/**
 * `GET /v1/nodes/{id}/verdicts`: what checks have said of a node, newest first, the latest with their evidence: what it
 * was asked, what it answered, and each validator's findings. Validators have numbers for names. For the node's operator
 * and the admin.
 */
export async function getVerdicts(context: Context<AppEnv>): Promise<Response> {
  const nodeId = await ownNodeId(context);
  const { env } = context;
  const marks = (await env.NODE.get(env.NODE.idFromName(nodeId)).verdicts()) ?? [];
  const cases = [...new Set(marks.filter(({ type }) => type === "verdict").map(({ taskId }) => taskId))];
  const described = new Map<string, CaseDescription>();
  await Promise.all(
    cases.slice(0, listedCases).map(async (taskId) => {
      // As text, since the platform's types of what crosses a call know no tuples.
      const found = await env.AUDIT.get(env.AUDIT.idFromName(taskId)).describe(nodeId);
      if (found !== undefined) described.set(taskId, caseDescriptionSchema.parse(JSON.parse(found)));
    }),
  );
  return context.json({ object: "list", data: marks.map((mark) => verdictBody(mark, described.get(mark.taskId))) });
}

/** `POST /v1/nodes/{id}/appeals`: one more validator looks at an answer that was found invalid, within 30 days. */
export async function postAppeal(context: Context<AppEnv>): Promise<Response> {
  const nodeId = await ownNodeId(context);
  const { task } = parseRequest(appealSchema, await readJson(context.req.raw));
  const { env } = context;
  if (!(await env.AUDIT.get(env.AUDIT.idFromName(task)).appeal(nodeId))) throw nothingToAppeal(nodeId, task);
  return context.json({ object: "appeal", node: nodeId, task, state: "open" }, 202);
}

function verdictBody(mark: TrustMark, described: CaseDescription | undefined): object {
  const { type, taskId: task, atMs } = mark;
  const common = { object: "verdict", task, type, at: Math.floor(atMs / 1_000) };
  switch (mark.type) {
    case "verdict": {
      const { outcome, isGross, isShort, confirmedBy } = mark;
      const word = { outcome, is_gross: isGross, is_short: isShort, confirmed_by_operators: confirmedBy.length };
      return { ...common, ...word, ...(described === undefined ? {} : caseBody(described)) };
    }
    case "validation":
    case "takeBack":
      // Whether it was a test is told to nobody.
      return { object: common.object, type, at: common.at, was_right: mark.wasRight };
    case "suspicion":
      return { ...common, of: mark.of };
    case "overturned":
      return common;
  }
}

function caseBody({ state, suspicions, isCommitmentGood, order, checks }: CaseDescription): object {
  const { input, tokenIds, text, finishReason, stopSequence, commitment } = order;
  return {
    ...{ state, suspicions, is_commitment_good: isCommitmentGood },
    answer: {
      ...{ input, token_ids: tokenIds, text, commitment },
      ...{ finish_reason: finishReason, stop_sequence: stopSequence },
    },
    checks: checks.map(({ validator, verdict, report, atMs }) => ({
      validator,
      at: Math.floor(atMs / 1_000),
      outcome: verdict.outcome,
      mean_margin: verdict.meanMargin,
      worst_rank: verdict.worstRank,
      reasons: verdict.reasons,
      findings: report?.findings ?? [],
      is_text_of_tokens: report?.isTextOfTokens ?? null,
      is_end_right: report?.isEndRight ?? null,
    })),
  };
}

function nothingToAppeal(nodeId: NodeId, task: string): Refusal {
  return new Refusal({
    code: "not_found",
    param: "task",
    message: `There is nothing to appeal in ${task}: an answer of ${nodeId} that was found invalid within 30 days, and was not appealed before, can be. GET /v1/nodes/{id}/verdicts lists them.`,
  });
}
