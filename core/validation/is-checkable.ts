import type { ModelCard } from "../model/model-card.ts";
import type { Ability } from "../node-pool/ability.ts";
import type { TaskInput } from "../wire/task-input.ts";

type Answered = Exclude<TaskInput, { kind: "check" }>;

/**
 * True where an honest node's answer is what a checker would choose itself. Of a node whose server draws by a sampler of
 * its own that is so without noise alone, and without what such servers count or mask in their own ways: penalties,
 * formats, tools. Its vectors are not: how near they come to another engine's was not measured.
 */
export function isCheckable(input: Answered, decoding: NonNullable<ModelCard["decoding"]>): boolean {
  if (decoding === "verifiable") return true;
  if (input.kind === "embedding") return false;
  const { temperature, frequencyPenalty, presencePenalty } = input.sampling;
  const isPlain = temperature === 0 && frequencyPenalty === 0 && presencePenalty === 0;
  return isPlain && (input.kind === "completion" || (input.format === undefined && input.tools === undefined));
}

/**
 * Who is asked to check an answer that {@link isCheckable}, made by nodes of these decodings. What servers' own samplers
 * said may be read by another such server, which knows no bias; what docs/SAMPLING.md chose goes to its own engine, since
 * thresholds were measured there.
 */
export function checkerOf(
  input: Answered,
  decodings: readonly ModelCard["decoding"][],
): Extract<Ability, "plainValidator" | "validator"> {
  const isOwn = input.kind !== "embedding" && decodings.every((decoding) => decoding === "own");
  return isOwn && input.sampling.logitBias === undefined ? "plainValidator" : "validator";
}
