/** Chance that can be had again: a failure under it is repeated with its seed. */
import { createHash, randomUUID } from 'node:crypto';
import type { TestContext } from 'node:test';

/** Numbers, bytes and choices that are the same for the same seed. */
export class SeededRandom {
  readonly #next: () => number;

  constructor(seed: string) {
    this.#next = seeded(seed);
  }

  /** An integer in [0, below). */
  integer(below: number): number {
    return Math.floor(this.#next() * below);
  }

  /** So many bytes. */
  bytes(count: number): Buffer {
    return Buffer.from(Array.from({ length: count }, () => this.integer(256)));
  }
}

/** Chance with a seed of its own, or with that of KUBE_MTLS_SEED; the test tells it. */
export function randomOf(test: TestContext): SeededRandom {
  const seed = process.env.KUBE_MTLS_SEED ?? randomUUID();
  test.diagnostic(`KUBE_MTLS_SEED=${seed}`);
  return new SeededRandom(seed);
}

/** Numbers in [0, 1) that are the same for the same seed (mulberry32). */
export function seeded(seed: string): () => number {
  let state = createHash('sha256').update(seed).digest().readInt32LE();
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
