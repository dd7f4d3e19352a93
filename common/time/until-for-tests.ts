/** Waiting in tests for what files and sockets bring about, which no fake clock moves. */
import assert from 'node:assert/strict';

const LIMIT_MS = 10_000;

/** Lets everything run until the condition holds; fails when it does not within 10 s. */
export async function until(condition: () => boolean): Promise<void> {
  const startedMs = performance.now();
  while (!condition()) {
    assert.ok(performance.now() - startedMs < LIMIT_MS, 'it never happened');
    await new Promise((resolve) => setImmediate(resolve));
  }
}
