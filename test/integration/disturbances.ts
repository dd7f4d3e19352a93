/** Which nodes are in the middle of a change, and when, as their own agents tell: what permits are there to bound. */

/** The nodes. */
export class Disturbances {
  readonly #now = new Set<string>();
  /** Those whose change restarted something: a live one, which disturbs nobody, takes no place of the share. */
  readonly #restarted = new Set<string>();
  readonly #counts = new Map<string, number>();
  /** The most whose change restarted something at once, since it was set to 0. */
  most = 0;

  /** Takes what an agent logged. */
  heard(node: string, message: string): void {
    if (message === 'change applied') {
      this.#now.add(node);
      this.#counts.set(node, (this.#counts.get(node) ?? 0) + 1);
    }
    if (message === 'unit restarted') {
      this.#restarted.add(node);
      this.most = Math.max(this.most, this.#restarted.size);
    }
    if (message === 'change kept' || message === 'change undone') {
      this.#now.delete(node);
      this.#restarted.delete(node);
    }
  }

  /** Those in the middle of a change. */
  get now(): string[] {
    return [...this.#now];
  }

  /** How many changes the node applied. */
  countOf(node: string): number {
    return this.#counts.get(node) ?? 0;
  }
}
