const idPattern = /\b(?:task|attempt|node)_\w+/g;
/** Lines before the first of a task's own that are looked at for the faults that led to it. */
const linesBefore = 200;

/**
 * Of all that happened, what has to do with what broke: the last `most` lines of the tasks and attempts that `message`
 * names, and what befell their nodes and the network meanwhile. Of lines in a row that only tell of pieces the last
 * stands for all.
 */
export function relatedNotes(notes: readonly string[], { message, most }: { message: string; most: number }): string[] {
  const named = idsOf(notes, message);
  const works = [...named].filter((id) => !id.startsWith("node_"));
  const isOfWork = (line: string) => works.some((id) => line.includes(id));
  const own = withoutRows(notes.flatMap((line, index) => (isOfWork(line) ? [{ line, index }] : []))).slice(-most);
  const [first, last] = [own[0], own.at(-1)];
  if (first === undefined || last === undefined) return notes.slice(-most);

  const nodes = new Set([...named, ...own.flatMap(({ line }) => line.match(idPattern) ?? [])]);
  const isOfNode = (line: string) =>
    (line.match(idPattern) ?? []).some((id) => id.startsWith("node_") && nodes.has(id));
  const isEvent = (line: string) =>
    line.includes("fault:") || (isOfNode(line) && !/ (?:delta|acked|pull) |attempt_/.test(line));
  const shown = new Set(own.map(({ index }) => index));
  for (let index = Math.max(0, first.index - linesBefore); index <= last.index; index += 1) {
    if (isEvent(notes[index] ?? "")) shown.add(index);
  }
  return notes.filter((_, index) => shown.has(index));
}

/** The ids that a message names, the attempts of its tasks, and the tasks of its attempts. */
function idsOf(notes: readonly string[], message: string): Set<string> {
  const named = new Set(message.match(idPattern) ?? []);
  // A line of a task names its attempt: twice round finds both ways.
  for (let round = 0; round < 2; round += 1) {
    for (const line of notes) {
      if (!/ task_\w+ /.test(line)) continue;
      const ids = line.match(idPattern) ?? [];
      if (!ids.some((id) => named.has(id) && !id.startsWith("node_"))) continue;
      for (const id of ids) if (!id.startsWith("node_")) named.add(id);
    }
  }
  return named;
}

function withoutRows(lines: readonly { line: string; index: number }[]): { line: string; index: number }[] {
  const isOnlyPieces = (line: string | undefined) => line !== undefined && / delta [^{]*$/.test(line);
  return lines.filter(({ line }, index) => !(isOnlyPieces(line) && isOnlyPieces(lines[index + 1]?.line)));
}
