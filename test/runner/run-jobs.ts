/** Jobs side by side, as many as the processors have room for. */
import type { Job } from './plan.ts';

/**
 * Runs the jobs: each time that one ends, those that fit into the room that is left begin, in their order. One that needs more than there is
 * runs alone. Rejects when a run does, once none is under way.
 *
 * @param room - processors to keep busy
 * @returns what the runs returned, in the order of the jobs; undefined for those that never began
 */
export async function runJobs<J extends Pick<Job, 'processors'>, T>(
  jobs: readonly J[],
  room: number,
  run: (job: J) => Promise<T>,
  isOver: () => boolean = () => false,
): Promise<(T | undefined)[]> {
  const results = new Map<J, T>();
  const waiting = new Set(jobs);
  const running = new Map<J, Promise<void>>();
  const failures: unknown[] = [];
  const needOf = ({ processors }: J) => Math.min(room, processors);
  const begin = async (job: J) => {
    try {
      results.set(job, await run(job));
    } catch (error) {
      failures.push(error);
    }
    running.delete(job);
  };
  for (;;) {
    for (const job of failures.length > 0 || isOver() ? [] : waiting) {
      const taken = [...running.keys()].reduce((sum, other) => sum + needOf(other), 0);
      if (taken + needOf(job) > room) continue;
      waiting.delete(job);
      running.set(job, begin(job));
    }
    if (running.size === 0) break;
    await Promise.race(running.values());
  }
  if (failures.length > 0) throw failures[0];
  return jobs.map((job) => results.get(job));
}
