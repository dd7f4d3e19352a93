import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { silentLog } from '../../common/log/log.ts';
import { FakeClock } from '../../common/time/fake-clock.ts';
import type { JournalEntry } from './journal-entry.ts';
import { fakeSpawn, LATER, line, REFUSED } from './journalctl-for-tests.ts';
import { MOST_ENTRIES } from './kept-entries.ts';
import { currentCursor, readSince } from './read-journal.ts';
import type { SpawnProgram } from './spawn-program.ts';
import { LINE_BYTES } from './split-lines.ts';

async function read(chunks: (string | Uint8Array)[], cursor = 'c0'): Promise<JournalEntry[]> {
  const { spawn } = fakeSpawn([{ chunks }]);
  return await readSince({ spawn, clock: new FakeClock(), log: silentLog }, { unit: 'etcd.service', cursor });
}

describe('readSince', () => {
  it('reads from the cursor on and leaves the entry at the cursor out', async () => {
    const { spawn, argvs } = fakeSpawn([{ chunks: [line('c0'), line('c1')] }]);
    const deps = { spawn, clock: new FakeClock(), log: silentLog };
    const entries = await readSince(deps, { unit: 'etcd.service', cursor: 'c0' });
    assert.deepEqual(entries, [
      {
        cursor: 'c1',
        realtimeMs: 1795519998821,
        unit: 'etcd.service',
        identifier: 'etcd',
        pid: 87,
        invocationId: 'aa',
        message: 'message c1',
        fromSystemd: false,
      },
    ]);
    assert.ok(argvs[0]?.includes('--cursor=c0') && argvs[0].includes('--unit=etcd.service'));
  });

  it('reads only once journald has taken what was written before', async () => {
    const taken = Promise.withResolvers<{ code: number; stderr: string }>();
    const { spawn: play, argvs } = fakeSpawn([{ chunks: [line('c1')] }]);
    const spawn: SpawnProgram = (argv) => ({
      ...play(argv),
      ...(argv[1] === '--sync' ? { ended: taken.promise } : {}),
    });
    const deps = { spawn, clock: new FakeClock(), log: silentLog };
    const reading = readSince(deps, { unit: 'etcd.service', cursor: 'c0' });
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(argvs, [], 'the journal was read before it was complete');
    taken.resolve({ code: 0, stderr: '' });
    assert.equal((await reading).length, 1);
  });

  it('puts lines together that come in pieces, in the middle of a character too', async () => {
    const bytes = Buffer.from(line('c1', { MESSAGE: 'schön' }) + line('c2'));
    const pieces = [...bytes].map((byte) => Uint8Array.of(byte));
    const entries = await read(pieces);
    assert.deepEqual(
      entries.map((entry) => entry.message),
      ['schön', 'message c2'],
    );
  });

  for (const [what, value, message] of [
    ['bytes', [104, 105, 255], 'hi\ufffd'],
    ['null', null, ''],
    ['given twice', ['first', 'second'], 'first'],
    ['longer than 16 KiB', 'x'.repeat(20_000), 'x'.repeat(16 * 1024)],
  ] as const) {
    it(`takes a message that is ${what}`, async () => {
      const [entry] = await read([line('c1', { MESSAGE: value })]);
      assert.equal(entry?.message, message);
    });
  }

  it('takes the lines of the service manager as about the unit, and nobody elses', async () => {
    const about = { UNIT: 'etcd.service', INVOCATION_ID: 'bb' };
    const [real, forged, user] = await read([
      line('c1', { ...about, _PID: '1', _UID: '0', _SYSTEMD_UNIT: 'init.scope' }),
      line('c2', { ...about, _PID: '666', _UID: '0', _SYSTEMD_UNIT: 'evil.service' }),
      line('c3', { ...about, _PID: '1', _UID: '1000', _SYSTEMD_UNIT: 'evil.service' }),
    ]);
    assert.deepEqual([real?.fromSystemd, real?.unit, real?.invocationId], [true, 'etcd.service', 'bb']);
    assert.deepEqual([forged?.fromSystemd, forged?.unit, forged?.invocationId], [false, 'evil.service', 'aa']);
    assert.equal(user?.fromSystemd, false);
  });

  it('leaves out lines that are no JSON, no object or without a cursor', async () => {
    const entries = await read(['nonsense\n', 'null\n', '[1]\n', '\n', '{"MESSAGE":"x"}\n', line('c1').slice(0, -9)]);
    assert.deepEqual(entries, []);
  });

  it('drops a line longer than 1 MiB, says how many, and goes on with the next', async () => {
    const counts: unknown[] = [];
    const log = { ...silentLog, warn: (_: string, fields?: object) => void counts.push(fields) };
    const { spawn } = fakeSpawn([{ chunks: ['x'.repeat(LINE_BYTES), 'y'.repeat(10), `z\n${line('c1')}`] }]);
    const deps = { spawn, clock: new FakeClock(), log };
    const entries = await readSince(deps, { unit: 'etcd.service', cursor: 'c0' });
    assert.deepEqual([entries.length, counts], [1, [{ unit: 'etcd.service', count: 1 }]]);
  });

  it('keeps the first and the last half of more than 5000 entries', async () => {
    const entries = await read(Array.from({ length: 13_001 }, (_, index) => line(`c${index + 1}`)));
    assert.equal(entries.length, MOST_ENTRIES);
    assert.deepEqual(
      [0, 2499, 2500, 4999].map((index) => entries[index]?.cursor),
      ['c1', 'c2500', 'c10502', 'c13001'],
    );
  });

  it('leaves out what a stranger wrote, also right after the cursor', async () => {
    const refused = { MESSAGE: `${REFUSED}])` };
    assert.deepEqual(
      (await read([line('c0', refused), line('c1', refused), line('c2'), line('c3', LATER)])).map(
        ({ cursor }) => cursor,
      ),
      ['c3'],
    );
  });

  it('rejects with what journalctl said when it fails', async () => {
    const { spawn } = fakeSpawn([{ end: { code: 1, stderr: 'Failed to seek to cursor: Invalid argument' } }]);
    const deps = { spawn, clock: new FakeClock(), log: silentLog };
    await assert.rejects(readSince(deps, { unit: 'etcd.service', cursor: 'x' }), {
      reason: 'unavailable',
      message: /Failed to seek to cursor/,
    });
  });

  it('kills a journalctl that does not end within a minute', async () => {
    const { spawn, kills } = fakeSpawn([{ hangs: true }]);
    const clock = new FakeClock();
    const reading = readSince({ spawn, clock, log: silentLog }, { unit: 'etcd.service', cursor: 'c0' });
    const refused = assert.rejects(reading, { reason: 'deadline' });
    await clock.advance(60_000);
    await refused;
    assert.equal(kills(), 1);
  });

  it('kills journalctl and rejects when the signal fires', async () => {
    const { spawn, kills } = fakeSpawn([{ hangs: true }]);
    const clock = new FakeClock();
    const stop = new AbortController();
    const reading = readSince(
      { spawn, clock, log: silentLog },
      { unit: 'etcd.service', cursor: 'c0', signal: stop.signal },
    );
    const refused = assert.rejects(reading, { name: 'AbortError' });
    await clock.advance(1);
    stop.abort();
    await refused;
    assert.deepEqual([kills(), clock.sleeping], [1, 0]);
  });
});

describe('currentCursor', () => {
  it('takes the cursor that journalctl shows', async () => {
    const cursor = await currentCursor(async () => ({ code: 0, stdout: '-- cursor: s=1;i=2;t=3\n', stderr: '' }));
    assert.equal(cursor, 's=1;i=2;t=3');
  });

  it('refuses an empty journal', async () => {
    const run = async () => ({ code: 0, stdout: '', stderr: '' });
    await assert.rejects(currentCursor(run), { reason: 'unavailable' });
  });
});
