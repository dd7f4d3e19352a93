import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { runJobs } from './run-jobs.ts';

/** Runs that a test ends. */
function runs() {
  const under = new Map<number, PromiseWithResolvers<string>>();
  return {
    run({ index }: { index: number }) {
      const ended = Promise.withResolvers<string>();
      under.set(index, ended);
      return ended.promise.finally(() => under.delete(index));
    },
    now: () => [...under.keys()],
    async end(index: number) {
      under.get(index)?.resolve(`result ${index}`);
      await new Promise((resolve) => setImmediate(resolve));
    },
    async fail(index: number) {
      under.get(index)?.reject(new Error(`fault ${index}`));
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

const needing = (...all: number[]) => all.map((processors, index) => ({ processors, index }));

describe('runJobs', () => {
  it('fills the room in the order of the jobs, and lets a small one go before a large one that does not fit', async () => {
    const { run, now, end } = runs();
    const all = runJobs(needing(1, 1.5, 0.5, 0.5), 2, run);
    assert.deepEqual(now(), [0, 2, 3]);
    await end(2);
    assert.deepEqual(now(), [0, 3]);
    await end(0);
    assert.deepEqual(now(), [3, 1]);
    await end(3);
    await end(1);
    assert.deepEqual(await all, ['result 0', 'result 1', 'result 2', 'result 3']);
  });

  it('runs one that needs more than there is, alone', async () => {
    const { run, now, end } = runs();
    const all = runJobs(needing(4, 0.5), 1, run);
    assert.deepEqual(now(), [0]);
    await end(0);
    assert.deepEqual(now(), [1]);
    await end(1);
    await all;
  });

  it('begins none when it is over, and waits for those that run', async () => {
    const { run, now, end } = runs();
    let isOver = false;
    const all = runJobs(needing(1, 1), 1, run, () => isOver);
    isOver = true;
    await end(0);
    assert.deepEqual(now(), []);
    assert.deepEqual(await all, ['result 0', undefined]);
  });

  it('rejects with the first fault, once those that run have ended', async () => {
    const { run, now, end, fail } = runs();
    const all = runJobs(needing(1, 1, 1), 2, run);
    all.catch(() => {});
    await fail(0);
    assert.deepEqual(now(), [1]);
    await end(1);
    await assert.rejects(all, /^Error: fault 0$/);
  });
});
