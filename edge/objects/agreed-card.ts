import { catalogue } from "../../core/model/catalogue.ts";
import type { ModelCard } from "../../core/model/model-card.ts";

/**
 * A node's card as its pool takes it. One file is one model, and a node that joins cannot change it for those that are
 * there: its name is the catalogue's, or that of the `present` card, which the nodes before it have given; `undefined`
 * where there are none. The answer is `undefined` where the node says that it is another kind of model altogether.
 */
export function agreedCard(said: ModelCard, present: ModelCard | undefined): ModelCard | undefined {
  const known = catalogue.find((model) => model.fileSha256 === said.fileSha256);
  if (known !== undefined) return known.kind === said.kind ? { ...said, name: known.name } : undefined;
  if (present === undefined) return said;
  return isSameModel(said, present) ? { ...said, name: present.name } : undefined;
}

/** True where two cards of a file say the same of what consumers can ask of it. */
export function isSameModel(one: ModelCard, other: ModelCard): boolean {
  return one.kind === other.kind && one.dimensions === other.dimensions;
}
