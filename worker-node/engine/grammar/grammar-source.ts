/** A function that may be called, and the grammar of its arguments. */
export interface CallGrammar {
  name: string;
  ebnf: string;
}

/** What an answer must be, for the thread that makes masks. */
export type GrammarSource =
  /** A text of this grammar, and nothing else. */
  | { type: "text"; ebnf: string }
  /** Calls in the form of docs/WIRE.md: among free text where they are not forced, else from the first token on. */
  | { type: "calls"; calls: readonly CallGrammar[]; isForced: boolean; isSingle: boolean };

/** A question to the thread; `number` names it in the answer. */
export type Question =
  | { number: number; type: "open"; matcher: number; source: GrammarSource; tokenIds: readonly number[] }
  | { number: number; type: "accept"; matcher: number; tokenId: number }
  | { number: number; type: "close"; matcher: number };

/** The thread's answer: tokens that may come next, a bit each from the lowest on; null where there is none. */
export type Reply =
  | { number: number; type: "mask"; bits: Int32Array | null }
  | { number: number; type: "problem"; message: string; isOfGrammar: boolean };

/** What the thread is started with. */
export interface GrammarThreadData {
  /** Each token's bytes in GPT-2's spelling; empty for one that may never come. */
  texts: readonly string[];
  /** Tokens that end an answer. */
  endIds: readonly number[];
}
