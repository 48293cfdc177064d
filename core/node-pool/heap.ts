/** A binary heap that knows where each item is, so that one can be taken out or moved from the middle. */
export interface Heap<Item> {
  readonly items: Item[];
  readonly places: Map<Item, number>;
  /** A strict order; it may change for one item at a time, of which {@link heapMoved} must then be told. */
  readonly isBefore: (one: Item, other: Item) => boolean;
}

/** A heap with nothing in it. */
export function emptyHeap<Item>(isBefore: (one: Item, other: Item) => boolean): Heap<Item> {
  return { items: [], places: new Map(), isBefore };
}

/** The item that comes before all others; `undefined` where there is none. Constant time. */
export function heapTop<Item>(heap: Heap<Item>): Item | undefined {
  return heap.items[0];
}

/** Adds an item that is not in it, in time that grows with the logarithm of its size. */
export function heapAdd<Item>(heap: Heap<Item>, item: Item): void {
  put(heap, item, heap.items.length);
  rise(heap, item);
}

/** Takes an item out, from wherever it is; one that is not in it changes nothing. Logarithmic time. */
export function heapRemove<Item>(heap: Heap<Item>, item: Item): void {
  const place = heap.places.get(item);
  if (place === undefined) return;
  heap.places.delete(item);
  const last = heap.items.pop();
  if (last === undefined || last === item) return;
  put(heap, last, place);
  heapMoved(heap, last);
}

/** Finds an item's place anew after its order has changed. Logarithmic time. */
export function heapMoved<Item>(heap: Heap<Item>, item: Item): void {
  rise(heap, item);
  sink(heap, item);
}

function rise<Item>({ items, places, isBefore }: Heap<Item>, item: Item): void {
  let place = places.get(item);
  if (place === undefined) return;
  while (place > 0) {
    const above: number = (place - 1) >> 1;
    const parent = items[above];
    if (parent === undefined || !isBefore(item, parent)) break;
    items[place] = parent;
    places.set(parent, place);
    place = above;
  }
  items[place] = item;
  places.set(item, place);
}

function sink<Item>({ items, places, isBefore }: Heap<Item>, item: Item): void {
  let place = places.get(item);
  if (place === undefined) return;
  for (;;) {
    const left: number = 2 * place + 1;
    let below = left;
    let child = items[left];
    const right = items[left + 1];
    if (child !== undefined && right !== undefined && isBefore(right, child)) {
      below = left + 1;
      child = right;
    }
    if (child === undefined || !isBefore(child, item)) break;
    items[place] = child;
    places.set(child, place);
    place = below;
  }
  items[place] = item;
  places.set(item, place);
}

function put<Item>(heap: Heap<Item>, item: Item, place: number): void {
  heap.items[place] = item;
  heap.places.set(item, place);
}
