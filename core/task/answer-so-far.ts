import type { NodeId } from "../ids.ts";
import type { AttemptEvent } from "../lease/attempt-event.ts";
import type { Delivery } from "./driver-step.ts";

export type Piece = Extract<AttemptEvent, { type: "delta" }>;

/** What is new in a piece, or why nothing is: it was there already, or one before it is missing. */
export type Taken = Extract<Delivery, { type: "deliver" | "deliverVectors" }> | "seen" | "gap";

/**
 * The answer as its caller has it, whichever nodes made it: every piece once and in order. Counts, token ids and the
 * present attempt's place; no text but the little that {@link AnswerSoFar.begin} explains.
 */
export class AnswerSoFar {
  /** Ids of all tokens of a chat's answer, for the node that goes on after them. */
  readonly tokenIds: number[] = [];
  /** Nodes that made it, in order; one that comes again after another is named again. */
  readonly nodeIds: NodeId[] = [];
  #nodeId: NodeId | undefined;
  /** Of the present attempt: the piece that is due, its tokens, and the inputs whose vectors came. */
  #nextSeq = 0;
  #attemptTokens = 0;
  readonly #vectors = new Set<number>();
  /** Text that came after the last token id: held back until it was clear that no stop sequence begins with it. */
  #looseText = "";
  /** Loose text that the present attempt may bring again. */
  #repeatedText = "";

  get nextSeq(): number {
    return this.#nextSeq;
  }

  /** Tokens of the present attempt. */
  get attemptTokens(): number {
    return this.#attemptTokens;
  }

  /** Inputs whose vectors are there. */
  get vectors(): ReadonlySet<number> {
    return this.#vectors;
  }

  /**
   * Another attempt's pieces come from here on. The text of an answer is a function of its token ids but for its very
   * end, which may come in a piece without ids; a node that goes on after the same ids brings that text again, and it
   * is then left out.
   */
  begin(nodeId: NodeId): void {
    this.#nodeId = nodeId;
    this.#nextSeq = 0;
    this.#attemptTokens = 0;
    this.#repeatedText = this.#looseText;
  }

  /** Takes the piece that is due. Changes nothing for any other. */
  take(piece: Piece): Taken {
    if (piece.seq !== this.#nextSeq) return piece.seq < this.#nextSeq ? "seen" : "gap";
    this.#nextSeq += 1;
    this.#name();
    if (piece.vectors !== undefined) {
      for (const { index } of piece.vectors) this.#vectors.add(index);
      return { type: "deliverVectors", vectors: piece.vectors };
    }
    const tokenIds = piece.tokenIds ?? [];
    for (const id of tokenIds) this.tokenIds.push(id);
    this.#attemptTokens += tokenIds.length;
    const text = this.#repeatedText === "" ? (piece.text ?? "") : this.#withoutRepeated(piece.text ?? "");
    this.#looseText = tokenIds.length > 0 ? "" : this.#looseText + text;
    const { logprobs } = piece;
    return { type: "deliver", text, tokenIds, ...(logprobs === undefined ? {} : { logprobs }) };
  }

  /** The present attempt's end is in the answer too, which counts where no node made any piece of it. */
  end(): void {
    if (this.nodeIds.length === 0) this.#name();
  }

  /** Forgets vectors: another node makes all of them anew. True where there were any. */
  dropVectors(): boolean {
    if (this.#vectors.size === 0) return false;
    this.#vectors.clear();
    this.nodeIds.length = 0;
    return true;
  }

  #name(): void {
    if (this.#nodeId !== undefined && this.nodeIds.at(-1) !== this.#nodeId) this.nodeIds.push(this.#nodeId);
  }

  #withoutRepeated(text: string): string {
    const repeated = this.#repeatedText;
    if (repeated.startsWith(text)) {
      this.#repeatedText = repeated.slice(text.length);
      return "";
    }
    this.#repeatedText = "";
    return text.startsWith(repeated) ? text.slice(repeated.length) : text;
  }
}
