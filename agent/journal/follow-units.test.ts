import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { silentLog } from '../../common/log/log.ts';
import { FakeClock } from '../../common/time/fake-clock.ts';
import type { JournalEntry } from './journal-entry.ts';
import { BOOT, fakeSpawn, LATER, line, REFUSED, type Run } from './journalctl-for-tests.ts';
import { followUnits } from './read-journal.ts';

describe('followUnits', () => {
  /** Follows until so many entries came, moving the clock while it waits; gives cursors and command lines. */
  async function follow(runs: Run[], count: number, cursor: string | undefined, units = ['etcd.service', 'b.service']) {
    const { spawn, argvs, kills } = fakeSpawn(runs);
    const clock = new FakeClock();
    const stop = new AbortController();
    const cursors: string[] = [];
    const following = (async () => {
      for await (const entry of followUnits({ spawn, clock, log: silentLog }, units, cursor, stop.signal)) {
        if (cursors.push(entry.cursor) === count) stop.abort();
      }
    })();
    for (let turn = 0; turn < 20 && !stop.signal.aborted; turn++) await clock.advance(60_000);
    stop.abort();
    await following;
    return { cursors, argvs, kills: kills(), sleeping: clock.sleeping };
  }

  it('follows all units from now on when it has no cursor', async () => {
    const { cursors, argvs } = await follow([{ chunks: [line('c1')], hangs: true }], 1, undefined);
    assert.deepEqual(cursors, ['c1']);
    for (const arg of ['--follow', `--boot=${BOOT}`, '--lines=0', '--unit=etcd.service', '--unit=b.service']) {
      assert.ok(argvs[0]?.includes(arg), arg);
    }
  });

  it('names no boot where the journal has entries of the one that /proc tells, whichever entry is the newest', async () => {
    const { spawn, argvs } = fakeSpawn([{ chunks: [line('c1')], hangs: true }], true);
    const stop = new AbortController();
    const deps = { spawn, clock: new FakeClock(), log: silentLog };
    for await (const _ of followUnits(deps, ['etcd.service'], undefined, stop.signal)) stop.abort();
    assert.ok(!argvs[0]?.some((word) => word.startsWith('--boot')), `${argvs[0]}`);
  });

  it('starts journalctl again when it ends, after the last entry, and gives nothing twice', async () => {
    const runs = [{ chunks: [line('c0'), line('c1')] }, { chunks: [line('c1'), line('c2')], hangs: true }];
    const { cursors, argvs } = await follow(runs, 2, 'c0');
    assert.deepEqual(cursors, ['c1', 'c2']);
    assert.deepEqual(
      argvs.map((argv) => argv.at(-1)),
      ['--cursor=c0', '--cursor=c1'],
    );
  });

  it('leaves out what a stranger wrote, also when it is started again right after the first line of it', async () => {
    const refused = line('c1', { MESSAGE: REFUSED });
    const chunks = [line('c0'), refused, line('c2'), line('c3', LATER)];
    assert.deepEqual((await follow([{ chunks, hangs: true }], 2, 'c0')).cursors, ['c1', 'c3']);
    assert.deepEqual((await follow([{ chunks: chunks.slice(1), hangs: true }], 1, 'c1')).cursors, ['c3']);
  });

  it('goes on by time when journalctl cannot read the cursor, without what it gave already', async () => {
    const last = 's=1;t=3e8'; // 1000 microseconds
    const refused = { end: { code: 1, stderr: 'Failed to seek to cursor: Invalid argument' } };
    const runs = [
      { chunks: [line(last)] },
      refused,
      { chunks: [line('s=1;t=3e7'), line(last), line('s=1;t=3e9')], hangs: true },
    ];
    const { cursors, argvs } = await follow(runs, 2, 'c0');
    assert.deepEqual(cursors, [last, 's=1;t=3e9']);
    assert.equal(argvs[2]?.at(-1), '--since=@0.001');
  });

  it('loses nothing when journalctl ends before the first entry', async () => {
    const { argvs } = await follow([{}, { chunks: [line('c1')], hangs: true }], 1, undefined);
    assert.equal(argvs[1]?.at(-1), `--since=@${Date.UTC(2026, 0, 1) / 1000}`);
  });

  it('waits longer each time that journalctl ends at once', async () => {
    const { spawn, argvs } = fakeSpawn([{ end: { code: 127, stderr: 'spawn journalctl ENOENT' } }]);
    const clock = new FakeClock();
    const stop = new AbortController();
    const given: JournalEntry[] = [];
    const following = (async () => {
      for await (const entry of followUnits({ spawn, clock, log: silentLog }, ['a'], 'c', stop.signal))
        given.push(entry);
    })();
    const starts: number[] = [];
    for (const ms of [0, 1000, 1999, 1, 3999, 1]) {
      await clock.advance(ms);
      starts.push(argvs.length);
    }
    assert.deepEqual(starts, [1, 2, 2, 3, 3, 4]);
    stop.abort();
    await following;
    assert.deepEqual(given, []);
  });

  it('waits the shortest time again after an entry came', async () => {
    const runs = [{}, {}, { chunks: [line('c1')] }, {}];
    const { spawn, argvs } = fakeSpawn(runs);
    const clock = new FakeClock();
    const stop = new AbortController();
    const following = (async () => {
      for await (const _ of followUnits({ spawn, clock, log: silentLog }, ['a'], 'c', stop.signal));
    })();
    const starts: number[] = [];
    for (const ms of [0, 1000, 2000, 1000]) {
      await clock.advance(ms);
      starts.push(argvs.length);
    }
    stop.abort();
    await following;
    assert.deepEqual(starts, [1, 2, 3, 4]);
  });

  it('ends and kills journalctl when the signal fires while nothing comes', async () => {
    const { kills, sleeping } = await follow([{ hangs: true }], 1, 'c0');
    assert.ok(kills >= 1);
    assert.equal(sleeping, 0);
  });

  it('reads nothing without units, instead of everybodys journal', async () => {
    const { argvs } = await follow([{ chunks: [line('c1')] }], 1, 'c0', []);
    assert.deepEqual(argvs, []);
  });
});
