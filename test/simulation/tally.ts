/** What a run did, counted. */
export class Tally {
  readonly #counts = new Map<string, number>();
  readonly #peaks = new Set<string>();
  readonly #samples = new Map<string, number[]>();

  add(name: string, amount = 1): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + amount);
  }

  /** Keeps one measured value under a name, for {@link median}. */
  sample(name: string, value: number): void {
    const known = this.#samples.get(name);
    if (known === undefined) this.#samples.set(name, [value]);
    else known.push(value);
  }

  /** The middle of the values kept under a name; 0 where there are none. */
  median(name: string): number {
    const sorted = (this.#samples.get(name) ?? []).toSorted((left, right) => left - right);
    return sorted[Math.floor(sorted.length / 2)] ?? 0;
  }

  /** The largest value seen under a name. */
  peak(name: string, value: number): void {
    this.#peaks.add(name);
    if (value > (this.#counts.get(name) ?? 0)) this.#counts.set(name, value);
  }

  get(name: string): number {
    return this.#counts.get(name) ?? 0;
  }

  /** Names with this prefix and their counts, sorted by name. */
  under(prefix: string): [name: string, count: number][] {
    return [...this.#counts]
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, count]): [string, number] => [name.slice(prefix.length), count])
      .toSorted(([left], [right]) => (left < right ? -1 : 1));
  }

  /** Adds another run's counts to these; of peaks the higher stays. */
  merge(other: Tally): void {
    for (const [name, count] of other.#counts) {
      if (other.#peaks.has(name)) this.peak(name, count);
      else this.add(name, count);
    }
  }
}
