import type { AttemptId, NodeId } from "../ids.ts";
import type { AttemptEvent } from "../lease/attempt-event.ts";
import type { Delivery, Making } from "./driver-step.ts";

export type Piece = Extract<AttemptEvent, { type: "delta" }>;

/** What is new in a piece, or why nothing is: it was there already, or one before it is missing. */
export type Taken = Extract<Delivery, { type: "deliver" | "deliverVectors" | "deliverReport" }> | "seen" | "gap";

/**
 * The answer as its caller has it, whichever nodes made it: every piece once and in order.
 */
export class AnswerSoFar {
  /** Ids of all tokens of a chat's answer, for the node that goes on after them. */
  readonly tokenIds: number[] = [];
  /** Nodes that made it, in order; one that comes again after another is named again. */
  readonly nodeIds: NodeId[] = [];
  #work: { attemptId: AttemptId; nodeId: NodeId } | undefined;
  /** Each attempt with pieces in it, and how many tokens were there before. */
  readonly #parts: { attemptId: AttemptId; nodeId: NodeId; promptTokens: number; tokensBefore: number }[] = [];
  #text = "";
  #promptTokens = 0;
  /** Of the present attempt: the piece that is due, its tokens, and the inputs whose vectors came. */
  #nextSeq = 0;
  #attemptTokens = 0;
  readonly #vectors = new Set<number>();
  #hasReport = false;
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

  /** True once the report of a check is there. */
  get hasReport(): boolean {
    return this.#hasReport;
  }

  /** The text that the caller has. */
  get text(): string {
    return this.#text;
  }

  /** The attempts whose pieces are in it, in order. */
  get parts(): Making["parts"] {
    return this.#parts.map(({ tokensBefore: _, ...part }, place) => {
      const answerTokens = this.#parts[place + 1]?.tokensBefore ?? this.tokenIds.length;
      return { ...part, answerTokens };
    });
  }

  /**
   * Another attempt's pieces come from here on. The text of an answer is a function of its token ids but for its very
   * end, which may come in a piece without ids; a node that goes on after the same ids brings that text again, and it
   * is then left out.
   */
  begin({ attemptId, nodeId }: { attemptId: AttemptId; nodeId: NodeId }): void {
    this.#work = { attemptId, nodeId };
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
    if (piece.report !== undefined) {
      this.#hasReport = true;
      return { type: "deliverReport", report: piece.report };
    }
    const tokenIds = piece.tokenIds ?? [];
    for (const id of tokenIds) this.tokenIds.push(id);
    this.#attemptTokens += tokenIds.length;
    const text = this.#repeatedText === "" ? (piece.text ?? "") : this.#withoutRepeated(piece.text ?? "");
    this.#text += text;
    this.#looseText = tokenIds.length > 0 ? "" : this.#looseText + text;
    const { logprobs } = piece;
    return { type: "deliver", text, tokenIds, ...(logprobs === undefined ? {} : { logprobs }) };
  }

  /** Tokens of the prompt, as the present attempt counts them. */
  acked(promptTokens: number): void {
    this.#promptTokens = promptTokens;
  }

  /**
   * The present attempt's end is in the answer too: it counts as a node of it where no node made any piece, and as the
   * last part in any case, since it is what that attempt commits to.
   */
  end(): void {
    if (this.nodeIds.length === 0) this.#name();
    else this.#begun();
  }

  /** Forgets vectors or a report: another node makes all of it anew. True where there was any. */
  restart(): boolean {
    if (this.#vectors.size === 0 && !this.#hasReport) return false;
    this.#vectors.clear();
    this.#hasReport = false;
    this.nodeIds.length = 0;
    this.#parts.length = 0;
    return true;
  }

  #name(): void {
    const nodeId = this.#work?.nodeId;
    if (nodeId !== undefined && this.nodeIds.at(-1) !== nodeId) this.nodeIds.push(nodeId);
    this.#begun();
  }

  /** The present attempt is a part of the answer. */
  #begun(): void {
    if (this.#work === undefined || this.#parts.at(-1)?.attemptId === this.#work.attemptId) return;
    this.#parts.push({ ...this.#work, promptTokens: this.#promptTokens, tokensBefore: this.tokenIds.length });
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
