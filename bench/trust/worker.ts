import { openLlama } from "../../worker-node/engine/open-llama.ts";
import { AnswerMaker } from "./answer-maker.ts";
import { ClaimChecker } from "./claim-checker.ts";
import { type Job, jobSchema, type Report } from "./job.ts";

/**
 * A process of the bench that makes answers and checks claims, one job after another, on one thread (two where a
 * maker's conditions say so). It is told jobs by its parent's messages, tells each row as soon as it has it, and ends
 * with its parent.
 */
const llama = await openLlama({ gpu: false, threads: 2 });
const tell = (report: Report) => void process.send?.(report);
const maker = new AnswerMaker(llama);
const checker = new ClaimChecker(llama);

process.on("disconnect", () => process.exit(0));
process.on("message", (message) => {
  run(jobSchema.parse(message)).then(
    () => tell({ kind: "done" }),
    (error: unknown) => {
      console.error(error);
      tell({ kind: "failed", problem: error instanceof Error ? error.message : String(error) });
    },
  );
});
tell({ kind: "done" });

async function run(job: Job): Promise<void> {
  if (job.kind === "generate") return maker.make(job, tell);
  return checker.check(job, tell);
}
