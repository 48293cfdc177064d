/** What stands in a {@link Chain}: it knows its neighbours. */
export interface Chained<Item> {
  previous: Item | undefined;
  next: Item | undefined;
}

/**
 * Items in the order in which they were appended, each in one chain at most; any can be taken out in constant time.
 * A `Map` keeps the same order, but finding its first entry takes longer the more were deleted before it.
 */
export interface Chain<Item> {
  first: Item | undefined;
  last: Item | undefined;
}

/** A chain with nothing in it. */
export function emptyChain<Item>(): Chain<Item> {
  return { first: undefined, last: undefined };
}

/** Puts an item that is in no chain at the end. */
export function chainAppend<Item extends Chained<Item>>(chain: Chain<Item>, item: Item): void {
  item.previous = chain.last;
  item.next = undefined;
  if (chain.last === undefined) chain.first = item;
  else chain.last.next = item;
  chain.last = item;
}

/** Takes an item out of the chain it is in. */
export function chainRemove<Item extends Chained<Item>>(chain: Chain<Item>, item: Item): void {
  if (item.previous === undefined) chain.first = item.next;
  else item.previous.next = item.next;
  if (item.next === undefined) chain.last = item.previous;
  else item.next.previous = item.previous;
  item.previous = undefined;
  item.next = undefined;
}
