import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { silentLog } from '../../common/log/log.ts';
import { FakeClock } from '../../common/time/fake-clock.ts';
import type { JournalEntry } from './journal-entry.ts';
import { MOST_ENTRIES } from './kept-entries.ts';
import { currentCursor, followUnits, readSince } from './read-journal.ts';
import type { ProgramEnd, SpawnProgram } from './spawn-program.ts';
import { LINE_BYTES } from './split-lines.ts';

/** What one run of a fake program does. */
interface Run {
  chunks?: (string | Uint8Array)[];
  end?: ProgramEnd;
  /** Stays open until killed. */
  hangs?: boolean;
}

/** A spawn that plays the runs in turn (the last one again and again) and keeps the command lines. */
function fakeSpawn(runs: Run[]): { spawn: SpawnProgram; argvs: string[][]; kills: () => number } {
  const argvs: string[][] = [];
  let kills = 0;
  const spawn: SpawnProgram = (argv) => {
    if (argv[1] === '--sync') return { stdout: empty(), ended: Promise.resolve({ code: 0, stderr: '' }), kill() {} };
    const run = runs[Math.min(argvs.length, runs.length - 1)] ?? {};
    argvs.push([...argv]);
    const killed = Promise.withResolvers<void>();
    async function* stdout() {
      for (const chunk of run.chunks ?? []) yield Buffer.from(chunk);
      if (run.hangs) await killed.promise;
    }
    return {
      stdout: stdout(),
      ended: run.hangs
        ? killed.promise.then(() => ({ code: 137, stderr: '' }))
        : Promise.resolve(run.end ?? { code: 0, stderr: '' }),
      kill() {
        kills++;
        killed.resolve();
      },
    };
  };
  return { spawn, argvs, kills: () => kills };
}

async function* empty(): AsyncIterable<Uint8Array> {}

function line(cursor: string, fields: Record<string, unknown> = {}): string {
  return `${JSON.stringify({
    __CURSOR: cursor,
    __REALTIME_TIMESTAMP: '1795519998821017',
    _PID: '87',
    _UID: '0',
    _SYSTEMD_UNIT: 'etcd.service',
    _SYSTEMD_INVOCATION_ID: 'aa',
    SYSLOG_IDENTIFIER: 'etcd',
    MESSAGE: `message ${cursor}`,
    ...fields,
  })}\n`;
}

const REFUSED =
  'http: TLS handshake error from 10.77.0.9:1: tls: client requested unsupported application protocols ([x';
/** A second after the others. */
const LATER = { __REALTIME_TIMESTAMP: '1795519999821017' };

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
    for (const arg of ['--follow', '--lines=0', '--unit=etcd.service', '--unit=b.service']) {
      assert.ok(argvs[0]?.includes(arg), arg);
    }
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
