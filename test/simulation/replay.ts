import { existsSync, readFileSync } from "node:fs";
import { Command } from "commander";
import { parseTrace, TraceUnreadable } from "../../core/trace/trace.ts";
import { replayTrace } from "./replay-trace.ts";

const command = new Command("replay")
  .description("Feeds the event trace of a node's or a pool's object to the code as it is now, with all checkers on.")
  .argument("<file>", "a trace as GET /v1/admin/trace gives it: one JSON object a line")
  .parse();
const [file = ""] = command.args;
if (!existsSync(file)) command.error(`There is no file ${file}.`);
try {
  const entries = parseTrace(readFileSync(file, "utf8"));
  const { violation, ...report } = replayTrace(entries);
  if (violation === undefined) {
    console.log(`${report.entries} entries of ${report.objects} objects: no checker failed`);
  } else {
    console.error(`Entry ${violation.entry} of ${entries.length} broke: ${violation.message}`);
    console.error(JSON.stringify(entries[violation.entry - 1]));
    process.exitCode = 1;
  }
} catch (error) {
  if (!(error instanceof TraceUnreadable)) throw error;
  command.error(error.message);
}
