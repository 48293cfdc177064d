import { z } from "zod";
import { type Evidence, evidenceSchema } from "../../core/commitment/evidence.ts";
import { jsonOf } from "../home.ts";
import { ReceiptError } from "./receipt-error.ts";

/** What looks like evidence, whatever is wrong with it. */
const likenessSchema = z.looseObject({ version: z.number(), taskId: z.string(), tokenIds: z.unknown().optional() });

/** Where an answer, an event of its stream, or a Responses API's last event has it. */
const holderSchema = z.looseObject({
  network: z.looseObject({ evidence: z.unknown().optional() }).optional(),
  response: z.looseObject({ network: z.looseObject({ evidence: z.unknown().optional() }).optional() }).optional(),
  evidence: z.unknown().optional(),
});

const howToGet = 'Ask with `network: {"evidence": true}` and save the whole answer, or its last event.';

/**
 * The evidence in a file's text: itself as JSON, a whole response with it in `network.evidence`, or the events of a
 * stream, of which the last that has some counts. Throws {@link ReceiptError} `no_evidence` and `bad_evidence`.
 */
export function readEvidence(text: string): Evidence {
  for (const value of valuesIn(text).toReversed()) {
    const found = evidenceIn(value);
    if (found === undefined) continue;
    const parsed = evidenceSchema.safeParse(found);
    if (parsed.success) return parsed.data;
    const [issue] = parsed.error.issues;
    const where = issue === undefined ? "" : ` (${issue.path.join(".")}: ${issue.message})`;
    throw new ReceiptError("bad_evidence", `This is no evidence that this version reads${where}. ${howToGet}`);
  }
  throw new ReceiptError("no_evidence", `There is no evidence in this file. ${howToGet}`);
}

/** The JSON values of a text: itself, or one for each line or event of a stream. */
function valuesIn(text: string): unknown[] {
  const whole = jsonOf(text);
  if (whole !== undefined) return [whole];
  const lines = text.split(/\r\n|\n|\r/).map((line) => line.replace(/^data: ?/, ""));
  return lines.filter((line) => line.startsWith("{")).map(jsonOf);
}

function evidenceIn(value: unknown): unknown {
  if (likenessSchema.safeParse(value).success) return value;
  const holder = holderSchema.safeParse(value).data;
  const held = [holder?.network?.evidence, holder?.response?.network?.evidence, holder?.evidence];
  return held.find((each) => each !== undefined && each !== null);
}
