import type { Progress } from "./model-source.ts";

/** The part of a terminal stream that a bar needs, as `process.stderr`. */
export interface Terminal {
  write(text: string): unknown;
  readonly columns?: number | undefined;
}

export interface ProgressDisplay {
  update(progress: Progress): void;
  /** A line that stays; a bar is drawn below it. */
  note(line: string): void;
  /** Leaves the terminal with the cursor at the start of a line. */
  end(): void;
}

const redrawEveryMs = 100;
/** Characters of a bar. */
const narrowestBar = 10;
const widestBar = 30;
const clearLine = "\r\u001b[2K";

/** A bar that is redrawn in place, with speed and time left. `nowMs` is a clock in milliseconds. */
export function terminalProgress(terminal: Terminal, nowMs: () => number = Date.now): ProgressDisplay {
  let current: { label: string; startedMs: number; startedBytes: number } | undefined;
  let drawn: { atMs: number; progress: Progress } | undefined;
  const draw = (progress: Progress, atMs: number) => {
    if (current?.label !== progress.label) {
      settle();
      current = { label: progress.label, startedMs: atMs, startedBytes: progress.doneBytes };
    }
    const seconds = (atMs - current.startedMs) / 1_000;
    const bytesPerSecond = seconds > 0 ? (progress.doneBytes - current.startedBytes) / seconds : 0;
    terminal.write(clearLine + barLine(progress, { bytesPerSecond, columns: terminal.columns ?? 80 }));
    drawn = { atMs, progress };
  };
  /** What was drawn stays as it is, and the next line begins. */
  const settle = () => {
    if (drawn !== undefined) terminal.write("\n");
    drawn = undefined;
    current = undefined;
  };
  return {
    update(progress) {
      const atMs = nowMs();
      const isLast = progress.doneBytes === progress.totalBytes;
      const isNew = current?.label !== progress.label;
      if (isNew || isLast || drawn === undefined || atMs - drawn.atMs >= redrawEveryMs) draw(progress, atMs);
    },
    note(line) {
      settle();
      terminal.write(`${line}\n`);
    },
    end: settle,
  };
}

/** A file below this gets one line in a log, when it is done. */
const smallFileBytes = 10_000_000;
/** A line each so many bytes where a file's size is not known. */
const stepBytes = 32 * 1024 * 1024;

/** Lines for a log: one for each fifth of a file, one for a small file, one each 32 MiB where its size is not known. */
export function lineProgress(out: (line: string) => void): ProgressDisplay {
  let label: string | undefined;
  let steps = 0;
  return {
    update(progress) {
      const { doneBytes, totalBytes } = progress;
      if (label !== progress.label) {
        label = progress.label;
        steps = 0;
      }
      const stepsInAll = totalBytes !== undefined && totalBytes < smallFileBytes ? 1 : 5;
      const reached = Math.floor(totalBytes ? (doneBytes / totalBytes) * stepsInAll : doneBytes / stepBytes);
      if (reached <= steps) return;
      steps = reached;
      out(`${progress.label}: ${amount(progress)}`);
    },
    note: out,
    end: () => {},
  };
}

/** Bytes in decimal megabytes, as file managers and model pages state them: `98.4 MB`. */
export const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;

function amount({ doneBytes, totalBytes }: Progress): string {
  if (totalBytes === undefined) return megabytes(doneBytes);
  const percent = Math.floor((doneBytes / totalBytes) * 100);
  return `${percent} % of ${megabytes(totalBytes)}`;
}

function barLine(progress: Progress, { bytesPerSecond, columns }: { bytesPerSecond: number; columns: number }): string {
  const { doneBytes, totalBytes, label } = progress;
  const speed = bytesPerSecond > 0 ? `  ${megabytes(bytesPerSecond)}/s` : "";
  const left =
    totalBytes !== undefined && bytesPerSecond > 0 && doneBytes < totalBytes
      ? `  ${Math.ceil((totalBytes - doneBytes) / bytesPerSecond)} s left`
      : "";
  const words = `${amount(progress)}${speed}${left}`;
  // Two gaps of two spaces, and the last column left free: some terminals wrap when it is written.
  const room = columns - words.length - 5;
  if (totalBytes === undefined) return `${shortened(label, room)}  ${words}`;
  const name = shortened(label, room - narrowestBar);
  const width = Math.max(0, Math.min(room - name.length, widestBar));
  const filled = Math.floor((doneBytes / totalBytes) * width);
  return `${name}  ${"█".repeat(filled)}${"░".repeat(width - filled)}  ${words}`.slice(0, columns - 1);
}

const shortened = (text: string, length: number) =>
  text.length <= length ? text : `${text.slice(0, Math.max(0, length - 1))}…`;
