/** An answer to go on with holds an id that this model's vocabulary doesn't have: another model made it. */
export class UnknownTokenError extends Error {
  override readonly name = "UnknownTokenError";
  readonly tokenId: number;
  /** Ids run from 0 to one less than this. */
  readonly vocabularyTokens: number;

  constructor({ tokenId, vocabularyTokens }: { tokenId: number; vocabularyTokens: number }) {
    super(`This answer cannot be continued: the model has ${vocabularyTokens} tokens and none has the id ${tokenId}.`);
    this.tokenId = tokenId;
    this.vocabularyTokens = vocabularyTokens;
  }
}
