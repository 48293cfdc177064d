/** Pieces of an answer where a request does not say. */
export const defaultPieces = 16;

/** The text of an answer's piece of this number, counted from 0. */
export function pieceText(number: number): string {
  return `word${number} `;
}

/** The whole answer of `pieces` pieces: what every client checks what it got against. */
export function answerText(pieces: number): string {
  return Array.from({ length: pieces }, (_, number) => pieceText(number)).join("");
}

/** How long a mock model takes between pieces, in milliseconds; the first comes at once. */
export const mockPacesMs = {
  /** As fast as the process goes: what is measured is the way. */
  "mock-instant": 0,
  /** A reader's pace: 50 tokens a second. */
  "mock-paced": 20,
  /** One word and then nothing for as long as a long prompt takes: a reader who leaves is not noticed by a token. */
  "mock-silent": 60_000,
} as const;
export type MockModel = keyof typeof mockPacesMs;

/** Every mock model. */
export const mockModels: readonly MockModel[] = ["mock-instant", "mock-paced", "mock-silent"];
