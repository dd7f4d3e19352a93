/** Waiting in tests for what files and sockets bring about, which no fake clock moves. */
import assert from 'node:assert/strict';

/** Only matters when the test fails. */
const LIMIT_MS = 60_000;

/** Lets everything run until the condition holds; fails when it does not in time. */
export async function until(condition: () => boolean): Promise<void> {
  const startedMs = performance.now();
  while (!condition()) {
    assert.ok(performance.now() - startedMs < LIMIT_MS, 'it never happened');
    await new Promise((resolve) => setImmediate(resolve));
  }
}
