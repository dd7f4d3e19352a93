/** Tasks that live and end together. */

/** Something that runs until its signal fires. */
export type Task = (signal: AbortSignal) => Promise<void>;

/**
 * Runs all tasks until they end. The first failure, or the outer signal, stops the others.
 *
 * @throws the first failure, once every task has ended
 */
export async function runTasks(outer: AbortSignal, tasks: readonly Task[]): Promise<void> {
  const stop = new AbortController();
  const signal = AbortSignal.any([outer, stop.signal]);
  let failure: { error: unknown } | undefined;
  await Promise.all(
    tasks.map(async (task) => {
      try {
        await task(signal);
      } catch (error) {
        const stopped = signal.aborted && error instanceof Error && error.name === 'AbortError';
        if (!stopped) failure ??= { error };
        stop.abort();
      }
    }),
  );
  if (failure !== undefined) throw failure.error;
}

/** A signal that fires at SIGTERM and SIGINT. Only main.ts calls it. */
export function stopSignal(): AbortSignal {
  const stop = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => stop.abort());
  return stop.signal;
}
