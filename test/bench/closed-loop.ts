/** Load as callers make it that wait for their answer before they ask again. */

/** One call; resolves with how many things it got done. */
export type Caller = () => Promise<number>;

/** What was done. */
export interface Throughput {
  count: number;
  seconds: number;
}

/** Lets all callers call again and again until the time is over; calls under way then are waited for and count. */
export async function closedLoop(callers: readonly Caller[], forMs: number, signal: AbortSignal): Promise<Throughput> {
  const startMs = performance.now();
  const endMs = startMs + forMs;
  let count = 0;
  await Promise.all(
    callers.map(async (call) => {
      while (performance.now() < endMs) {
        signal.throwIfAborted();
        const done = await call(); // `count += await` would lose what others add meanwhile
        count += done;
      }
    }),
  );
  return { count, seconds: (performance.now() - startMs) / 1000 };
}
