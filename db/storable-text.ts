/**
 * The text with what Postgres cannot hold replaced by U+FFFD, at the same length: the character 0, and halves of
 * surrogate pairs, which have no UTF-8 form. Anything else stays as it is.
 */
export function storableText(text: string): string {
  return text.toWellFormed().replaceAll("\u0000", "\uFFFD");
}
