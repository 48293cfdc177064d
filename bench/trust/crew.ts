import { type ChildProcess, fork } from "node:child_process";
import { join } from "node:path";
import { type Job, type Report, reportSchema } from "./job.ts";

/** Time without a word after which a worker is taken for hung. On a machine that is busy with other things an answer may take minutes. */
const silenceMs = 1_800_000;

/** Worker processes that do jobs in order, each the next one as soon as it is free. */
export class Crew {
  readonly #size: number;

  constructor({ size }: { size: number }) {
    this.#size = size;
  }

  /**
   * Does all jobs, or those that fit until `isOver` says that time is up (a job that has begun is ended). Throws the
   * first problem; rows that came before it have been told.
   */
  async run(
    jobs: readonly Job[],
    { onReport, isOver }: { onReport: (report: Report) => void; isOver: () => boolean },
  ): Promise<void> {
    const waiting = [...jobs];
    const next = () => (isOver() ? undefined : waiting.shift());
    await Promise.all(Array.from({ length: Math.min(this.#size, jobs.length) }, () => work({ next, onReport })));
  }
}

function work({ next, onReport }: { next: () => Job | undefined; onReport: (report: Report) => void }): Promise<void> {
  return new Promise((resolve, reject) => {
    const child: ChildProcess = fork(join(import.meta.dirname, "worker.ts"), {
      execArgv: ["--disable-warning=ExperimentalWarning"],
    });
    let hung: ReturnType<typeof setTimeout> | undefined;
    const end = (problem?: Error) => {
      clearTimeout(hung);
      child.removeAllListeners("exit");
      child.kill("SIGKILL");
      if (problem === undefined) resolve();
      else reject(problem);
    };
    const heard = () => {
      clearTimeout(hung);
      hung = setTimeout(() => end(new Error("a worker said nothing for half an hour")), silenceMs);
    };
    heard();
    child.on("exit", (code, signal) => end(new Error(`a worker ended (${signal ?? code})`)));
    child.on("message", (message) => {
      heard();
      const report = reportSchema.parse(message);
      if (report.kind === "failed") return end(new Error(report.problem));
      if (report.kind !== "done") return onReport(report);
      const job = next();
      if (job === undefined) end();
      else child.send(job);
    });
  });
}
