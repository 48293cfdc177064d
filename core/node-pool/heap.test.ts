import { expect, test } from "vitest";
import { pick, seededRandom } from "../testing/seeded-random.ts";
import { emptyHeap, heapAdd, heapMoved, heapRemove, heapTop } from "./heap.ts";

interface Item {
  rank: number;
}

test("whatever is added, moved and taken out, the top is the least", () => {
  for (let seed = 1; seed <= 20; seed += 1) {
    const random = seededRandom(seed);
    const heap = emptyHeap<Item>((one, other) => one.rank < other.rank);
    const items: Item[] = [];
    for (let step = 0; step < 200; step += 1) {
      const action = random();
      if (items.length === 0 || action < 0.5) {
        const item = { rank: Math.floor(random() * 50) };
        items.push(item);
        heapAdd(heap, item);
      } else if (action < 0.75) {
        const item = pick(items, random);
        item.rank = Math.floor(random() * 50);
        heapMoved(heap, item);
      } else {
        const [item] = items.splice(Math.floor(random() * items.length), 1);
        if (item !== undefined) heapRemove(heap, item);
      }
      const least = items.length === 0 ? undefined : Math.min(...items.map(({ rank }) => rank));
      expect(heapTop(heap)?.rank).toBe(least);
      expect([heap.items.length, heap.places.size]).toEqual([items.length, items.length]);
    }
  }
});

test("taking out what is not in it changes nothing", () => {
  const heap = emptyHeap<Item>((one, other) => one.rank < other.rank);
  const item = { rank: 1 };
  heapAdd(heap, item);
  heapRemove(heap, { rank: 1 });
  heapMoved(heap, { rank: 0 });
  expect(heap.items).toEqual([item]);
});

test("all come out in order", () => {
  const heap = emptyHeap<Item>((one, other) => one.rank < other.rank);
  for (const rank of [5, 3, 8, 1, 9, 2, 7]) heapAdd(heap, { rank });
  const order: number[] = [];
  for (let top = heapTop(heap); top !== undefined; top = heapTop(heap)) {
    order.push(top.rank);
    heapRemove(heap, top);
  }
  expect(order).toEqual([1, 2, 3, 5, 7, 8, 9]);
});
