/** Waiting in tests for what files, sockets and processes bring about, which no fake clock moves. */
import { setTimeout as delay } from 'node:timers/promises';

/** Between two looks: a waiting test leaves the processor to what it waits for. */
const EVERY_MS = 5;
/** Matters only when the test fails: what is waited for takes its time on a busy machine. */
const LIMIT_MS = 60_000;

/**
 * Waits until it is so.
 *
 * @param what is waited for: "two to be made"
 * @throws Error after 60 s; whatever isSo throws, at once
 */
export async function until(isSo: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const startedMs = performance.now();
  while (!(await isSo())) {
    if (performance.now() - startedMs > LIMIT_MS) throw new Error(`waited ${LIMIT_MS / 1000} s for ${what}`);
    await delay(EVERY_MS);
  }
}
