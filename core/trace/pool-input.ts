import { z } from "zod";
import { accountIdSchema, attemptIdSchema, nodeIdSchema } from "../ids.ts";
import { abilities } from "../node-pool/ability.ts";
import type { Ticket } from "../node-pool/ticket.ts";

const timeMs = z.number();
const memberShape = {
  nodeId: nodeIdSchema,
  slots: z.int().positive(),
  tokensPerSecond: z.number(),
  firstTokenMs: z.number().nullable(),
  operator: accountIdSchema.optional(),
  ability: z.enum(abilities).optional(),
};

/** A request that asks a pool, with its sets as lists. */
export const tracedTicketSchema = z.strictObject({
  attemptId: attemptIdSchema,
  accountId: accountIdSchema,
  weight: z.number().optional(),
  priority: z.number().optional(),
  exclude: z.array(nodeIdSchema),
  excludeOperators: z.array(accountIdSchema).optional(),
  needs: z.enum(abilities).optional(),
  avoid: z.array(nodeIdSchema),
  affinity: z.string().nullable(),
  isPatient: z.boolean(),
  expiresAtMs: timeMs,
});
export type TracedTicket = z.infer<typeof tracedTicketSchema>;

/** Everything that a pool is told, a call each, named for the function. */
export const poolInputSchema = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("recall"), member: z.strictObject({ ...memberShape, heardAtMs: timeMs }) }),
  z.strictObject({
    type: z.literal("offer"),
    word: z.strictObject({
      ...memberShape,
      free: z.int(),
      asideUntilMs: timeMs,
      taken: z.array(attemptIdSchema),
    }),
  }),
  z.strictObject({ type: z.literal("leave"), nodeId: nodeIdSchema }),
  z.strictObject({ type: z.literal("claim"), ticket: tracedTicketSchema }),
  z.strictObject({ type: z.literal("claimNow"), ticket: tracedTicketSchema, isLastResort: z.boolean() }),
  z.strictObject({ type: z.literal("withdraw"), attemptId: attemptIdSchema }),
  z.strictObject({ type: z.literal("placedElsewhere"), attemptId: attemptIdSchema }),
  z.strictObject({ type: z.literal("expire") }),
]);
export type PoolInput = z.infer<typeof poolInputSchema>;

/** What a trace keeps of a ticket. */
export function tracedTicket(ticket: Ticket): TracedTicket {
  const { excludeOperators, ...rest } = ticket;
  return {
    ...rest,
    exclude: [...ticket.exclude],
    avoid: [...ticket.avoid],
    ...(excludeOperators === undefined ? {} : { excludeOperators: [...excludeOperators] }),
  };
}

/** The ticket that was traced. */
export function ticketOfTrace({
  exclude,
  excludeOperators,
  needs,
  avoid,
  weight,
  priority,
  ...rest
}: TracedTicket): Ticket {
  return {
    ...rest,
    ...(weight === undefined ? {} : { weight }),
    ...(priority === undefined ? {} : { priority }),
    ...(excludeOperators === undefined ? {} : { excludeOperators: new Set(excludeOperators) }),
    ...(needs === undefined ? {} : { needs }),
    exclude: new Set(exclude),
    avoid: new Set(avoid),
  };
}
