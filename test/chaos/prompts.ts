/**
 * Prompts that SmolLM2 answers with more than 300 tokens at temperature 0, each with its own text, so that a piece of
 * one answer in another is seen.
 */
export const longAnswers = [
  "Write a very long and detailed story about a lighthouse keeper and the sea.",
  "Explain in great detail, step by step, how bread is made, from the field to the table.",
  "Write a long letter from a sailor to his mother about everything he saw on his journey.",
  "Describe every room of an old castle in great detail.",
  "Write a long essay about the history of mathematics.",
  "Tell me everything about the planets of the solar system, one after another, in detail.",
  "Write the rules of an invented board game in full detail.",
  "List one hundred different animals, one on each line, with a sentence about each.",
] as const;

/** The prompt of this number; they come again in turn. */
export function longAnswer(number: number): string {
  return longAnswers[number % longAnswers.length] ?? longAnswers[0];
}
