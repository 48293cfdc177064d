import { z } from "zod";
import { nodeIdSchema, taskIdSchema } from "../../core/ids.ts";
import { verdictRecordSchema } from "../../core/record/entry.ts";
import { type AuditEffect, auditCaseSchema } from "../../core/validation/audit-case.ts";
import { checkVerdictSchema } from "../../core/validation/judge-check.ts";
import { checkReportSchema } from "../../core/wire/node-frame.ts";
import { auditOrderSchema } from "./audit-order.ts";
import { trustMarkSchema } from "./trust-mark.ts";

/** Whom to ask next. */
export type AskEffect = Extract<AuditEffect, { type: "askValidator" }>;

const askSchema = z.object({
  type: z.literal("askValidator"),
  kind: z.enum(["real", "probe"]),
  excludeNodes: z.array(nodeIdSchema),
  excludeOperators: z.array(auditCaseSchema.shape.makers.element.shape.operator),
});

/** What a case is doing, beside its {@link AuditCase}. */
export const workSchema = z.strictObject({
  /** Whom to ask next; null where nothing is to be done. */
  ask: askSchema.nullable(),
  /** Since when, milliseconds since the epoch. */
  askedAtMs: z.int(),
  /** Questions that were put so far. */
  questions: z.int(),
  failedNodeIds: z.array(nodeIdSchema),
  isCommitmentGood: z.boolean().nullable(),
  /** The part that a first validator found bad. */
  accused: z.int().nullable(),
  /** Verdicts that were told to the record. */
  revision: z.int(),
  /** What is to be told to nodes' objects, oldest first: it is told again until each has heard. */
  outbox: z.array(
    z.strictObject({ nodeId: nodeIdSchema, marks: z.array(trustMarkSchema), verdict: verdictRecordSchema.optional() }),
  ),
});
export type Work = z.infer<typeof workSchema>;

export const heardSchema = z.strictObject({
  kind: z.enum(["real", "probe"]),
  validatorId: nodeIdSchema,
  verdict: checkVerdictSchema,
  report: checkReportSchema.nullable(),
  atMs: z.int(),
});
/** What one validator said. */
export type Heard = z.infer<typeof heardSchema>;

/** A case as its node's operator may see it. Validators have numbers for names, so that nobody can be repaid. */
export const caseDescriptionSchema = z.object({
  taskId: taskIdSchema,
  state: auditCaseSchema.shape.state,
  nodeId: nodeIdSchema,
  openedAtMs: z.number(),
  suspicions: z.array(z.string()),
  isCommitmentGood: z.boolean().nullable(),
  order: auditOrderSchema.pick({
    ...{ input: true, tokenIds: true, text: true, finishReason: true, stopSequence: true, commitment: true },
  }),
  checks: z.array(heardSchema.omit({ validatorId: true, kind: true }).extend({ validator: z.int() })),
});
export type CaseDescription = z.infer<typeof caseDescriptionSchema>;
