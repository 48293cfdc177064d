import { UpstreamError } from "./upstream-error.ts";

/** Longest line and longest event, in characters: a first token with 20 alternatives has about two thousand. */
export const longestEventCharacters = 1 << 20;

/**
 * The data of each event of a server-sent stream, in order (WHATWG HTML §9.2.6: any line ending, comments passed over,
 * data lines joined by a line feed, an event cut off by the stream's end dropped). Throws {@link UpstreamError} where an
 * event is longer than {@link longestEventCharacters}.
 */
export async function* readEvents(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  let data: string[] = [];
  for await (const chunk of chunks) {
    rest += decoder.decode(chunk, { stream: true });
    // A line feed after a carriage return at the chunk's end belongs to it.
    const whole = rest.endsWith("\r") ? rest.slice(0, -1) : rest;
    const lines = whole.split(/\r\n|\n|\r/);
    rest = (lines.pop() ?? "") + rest.slice(whole.length);
    for (const line of lines) {
      if (line === "") {
        if (data.length > 0) yield data.join("\n");
        data = [];
      } else if (line.startsWith("data:")) {
        data.push(line.slice(line.startsWith("data: ") ? 6 : 5));
      }
    }
    const held = data.reduce((sum, line) => sum + line.length, rest.length);
    if (held > longestEventCharacters) throw new UpstreamError("the upstream sent an event that does not end");
  }
}
