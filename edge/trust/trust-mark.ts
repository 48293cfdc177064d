import { z } from "zod";
import { accountIdSchema, taskIdSchema } from "../../core/ids.ts";

const markShape = {
  /** One for each thing that is to be said of a node. */
  id: z.string().max(200),
  taskId: taskIdSchema,
  atMs: z.int().nonnegative(),
};
const validationShape = { ...markShape, wasRight: z.boolean(), isProbe: z.boolean() };

/** What is said of a node to its object; one that comes twice counts once. */
export const trustMarkSchema = z.discriminatedUnion("type", [
  /** Its answer was checked. */
  z.strictObject({
    ...markShape,
    type: z.literal("verdict"),
    outcome: z.enum(["valid", "invalid"]),
    isGross: z.boolean(),
    /** The probability with which the answer was chosen to be checked. */
    chosenWith: z.number().min(0).max(1),
    confirmedBy: z.array(accountIdSchema).max(9),
    isShort: z.boolean(),
  }),
  /** An appeal took the `invalid` of this task back. */
  z.strictObject({ ...markShape, type: z.literal("overturned") }),
  /** What looked wrong at sight. */
  z.strictObject({ ...markShape, type: z.literal("suspicion"), of: z.array(z.string().max(64)).max(16) }),
  /** Its check of another's answer was compared with what came out; or what was counted so is not to count. */
  z.strictObject({ ...validationShape, type: z.literal("validation") }),
  z.strictObject({ ...validationShape, type: z.literal("takeBack") }),
]);
export type TrustMark = z.infer<typeof trustMarkSchema>;
