import { type AnswerPiece, type AnswerReader, isEnded } from "../answer-reader.ts";
import { errorBody, toRefusal } from "../errors.ts";
import { sseDone, sseEvent, sseResponse, sseWhole } from "../sse.ts";
import { joinChoices } from "./join-choices.ts";

/** Writes the pieces of a request's choices as events. */
export interface ChoiceEvents {
  /** What goes out before anything that a model says. */
  first(): string;
  of(index: number, pieces: readonly AnswerPiece[]): string;
  /** True once every choice has ended. */
  readonly isOver: boolean;
}

/**
 * The choices as a stream of events that ends with `[DONE]`. Events that are there at once go out as one piece. An error
 * after the first is an event of its own.
 */
export function streamedChoices(
  readers: readonly AnswerReader[],
  {
    events,
    requestId,
    headers,
  }: { events: ChoiceEvents; requestId: string; headers: Readonly<Record<string, string>> },
): Response {
  const early = readers.map((reader) => reader.ready());
  const first = events.first() + early.map((pieces, index) => events.of(index, pieces)).join("");
  if (early.every(isEnded)) return sseWhole(first + sseDone, headers);
  const cancel = () => {
    for (const { run } of readers) run.cancel();
  };
  return sseResponse(
    async (write) => {
      write(first);
      try {
        await joinChoices(readers, async (reader, index) => {
          for (let pieces = early[index]; pieces !== undefined && !isEnded(pieces); ) {
            pieces = await reader.next();
            const text = pieces === undefined ? "" : events.of(index, pieces);
            if (text !== "") write(events.isOver ? text + sseDone : text);
          }
        });
      } catch (error) {
        write(sseEvent(JSON.stringify(errorBody(toRefusal(error, requestId)))));
      }
    },
    { onGone: cancel, headers },
  );
}
