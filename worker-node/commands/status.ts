import { defaultHomeDir } from "../home.ts";
import { isNodeRunning, type NodeStatus, readNodeStatus } from "../status-file.ts";

/** Prints how the node of this home fares. Exit code 0 where it is connected and takes work, 1 otherwise. */
export function status({
  homeDir = defaultHomeDir(),
  out,
}: {
  homeDir?: string | undefined;
  out: (line: string) => void;
}): number {
  const known = readNodeStatus(homeDir);
  if (known === undefined) {
    out(`No node has run from ${homeDir} yet. Start one: cortensor-node start --router URL --token inv-…`);
    return 1;
  }
  const isRunning = isNodeRunning(known, Date.now());
  const state =
    isRunning || known.state === "stopped" || known.state === "refused" ? known.state : "gone without a word";
  const lines: [string, string][] = [
    ["node", `${known.nodeId} (${known.name})`],
    ["state", isRunning ? `${state}, process ${known.pid}` : state],
    ["router", known.routerUrl],
    ["operator", known.operator ?? "not yet known: the router has not taken the node in"],
    ...modelLines(known, { isServing: isRunning && known.state === "active" }),
    [
      "work",
      `${known.running} running, ${known.tasksDone} done, ${known.checksDone} checks, ${known.tasksFailed} failed, ${known.tasksResumed} resumed, ${known.tokensOut} tokens out`,
    ],
    ["socket", socketLine(known)],
    ["since", new Date(known.startedAtMs).toISOString()],
  ];
  if (known.problem !== null) lines.push(["problem", known.problem]);
  for (const [label, text] of lines) out(`${label.padEnd(9)}${text}`);
  return isRunning && known.state === "active" ? 0 : 1;
}

/** A line a model. What the router last said of it is shown only while it holds: while the node is connected. */
function modelLines({ models }: NodeStatus, { isServing }: { isServing: boolean }): [string, string][] {
  if (models.length === 0) return [["models", "none loaded"]];
  return models.map(({ name, slots, tokensPerSecond, standing }, index) => {
    const model = `${name} (${slots} slots, ${tokensPerSecond} tokens/s)`;
    return [index === 0 ? "models" : "", isServing && standing !== null ? `${model}: ${standing.text}` : model];
  });
}

function socketLine({ losses: { lastHour, last } }: NodeStatus): string {
  if (last === null) return "never lost";
  const times = lastHour === 1 ? "once" : `${lastHour} times`;
  return `lost ${times} in the last hour, last at ${new Date(last.atMs).toISOString()}: ${last.reason}`;
}
