const idPattern = /\b(?:task|attempt|node)_\w+/g;

/**
 * Of all that happened, what has to do with what broke: lines of the tasks, attempts and nodes that `message` names, of
 * the attempts of those tasks, and every fault; at most the last `most`. Lines that only tell of pieces are left out
 * but for the last of a row of them.
 */
export function relatedNotes(notes: readonly string[], { message, most }: { message: string; most: number }): string[] {
  const named = new Set(message.match(idPattern) ?? []);
  // A line of a task names its attempt, and one of an attempt its task: twice round finds both ways.
  for (let round = 0; round < 2; round += 1) {
    for (const line of notes) {
      if (!/ (?:task)_\w+ /.test(line)) continue;
      const ids = line.match(idPattern) ?? [];
      if (ids.some((id) => named.has(id) && !id.startsWith("node_"))) for (const id of ids) named.add(id);
    }
  }
  const attempts = [...named].filter((id) => !id.startsWith("node_"));
  const nodes = [...named].filter((id) => id.startsWith("node_"));
  const related = notes.filter((line) => {
    if (line.includes("fault:") || attempts.some((id) => line.includes(id))) return true;
    return nodes.some((id) => line.includes(id)) && !/ (?:delta|acked) /.test(line) && !/attempt_/.test(line);
  });
  const isOnlyPieces = (line: string | undefined) => line !== undefined && / delta [^{]*$/.test(line);
  return related.filter((line, index) => !(isOnlyPieces(line) && isOnlyPieces(related[index + 1]))).slice(-most);
}
