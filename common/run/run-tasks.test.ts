import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { runTasks, type Task } from './run-tasks.ts';

/** Runs until its signal fires, then says so. */
const forever =
  (ended: string[], name: string): Task =>
  (signal) =>
    new Promise((_, reject) => {
      signal.addEventListener('abort', () => {
        ended.push(name);
        reject(signal.reason);
      });
    });

describe('runTasks', () => {
  it('waits for all of them', async () => {
    const ended: string[] = [];
    const task = (name: string) => async () => {
      await new Promise((resolve) => setImmediate(resolve));
      ended.push(name);
    };
    await runTasks(new AbortController().signal, [task('a'), task('b')]);
    assert.deepEqual(ended, ['a', 'b']);
  });

  it('stops the others at the first failure, which it throws once all have ended', async () => {
    const ended: string[] = [];
    const failing: Task = async () => {
      throw new Error('first');
    };
    const later: Task = async (signal) => {
      await forever(ended, 'b')(signal).catch(() => undefined);
      throw new Error('second');
    };
    await assert.rejects(runTasks(new AbortController().signal, [forever(ended, 'a'), failing, later]), /first/);
    assert.deepEqual(ended.sort(), ['a', 'b']);
  });

  it('takes a task that throws before it waits for a failure too', async () => {
    const ended: string[] = [];
    const broken = (() => {
      throw new Error('at once');
    }) as Task; // the type knows no task that only throws
    await assert.rejects(runTasks(new AbortController().signal, [forever(ended, 'a'), broken]), /at once/);
    assert.deepEqual(ended, ['a']);
  });

  it('ends without a failure when the outer signal fires', async () => {
    const ended: string[] = [];
    const stop = new AbortController();
    const running = runTasks(stop.signal, [forever(ended, 'a'), forever(ended, 'b')]);
    stop.abort();
    await running;
    assert.deepEqual(ended, ['a', 'b']);
  });

  it('throws what a task fails with while it is stopped', async () => {
    const stop = new AbortController();
    const undo: Task = async (signal) => {
      await forever([], '')(signal).catch(() => undefined);
      throw new Error('the undo failed');
    };
    const running = assert.rejects(runTasks(stop.signal, [undo]), /the undo failed/);
    stop.abort();
    await running;
  });

  it('does not take an abort of its own for the stop', async () => {
    const aborted: Task = async () => {
      throw new DOMException('a call was aborted', 'AbortError');
    };
    await assert.rejects(runTasks(new AbortController().signal, [aborted]), { name: 'AbortError' });
  });

  it('lets the others go on when one has nothing more to do', async () => {
    const ended: string[] = [];
    const stop = new AbortController();
    const running = runTasks(stop.signal, [async () => {}, forever(ended, 'a')]);
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(ended, []);
    stop.abort();
    await running;
  });
});
