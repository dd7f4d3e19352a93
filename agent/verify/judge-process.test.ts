import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { silentLog } from '../../common/log/log.ts';
import { FakeClock } from '../../common/time/fake-clock.ts';
import { until } from '../../common/time/until-for-tests.ts';
import type { SpawnProgram } from '../journal/spawn-program.ts';
import type { ProcessRef } from '../process/process-ref.ts';
import { detectedEtcd } from './detected-for-tests.ts';
import { judgeProcess } from './judge-process.ts';

const MINUTE = 60_000;
const nowMs = Date.UTC(2026, 0, 1);
const serving =
  '{"level":"info","msg":"ready to serve client requests"}\n{"level":"info","msg":"serving client traffic securely","address":"10.0.0.1:2379"}';
const mismatched = (from: string) =>
  `{"level":"warn","msg":"rejected connection","remote-addr":"${from}","error":"tls: private key does not match public key"}`;

/** An entry of etcd's journal at that many minutes before now. */
type Entry = [minutesAgo: number, message: string];

/** Judges an etcd by its journal; with a cursor it was just restarted, else it started so many minutes ago. */
async function judge(
  entries: Entry[],
  running: {
    cursor?: string;
    startedMinutesAgo?: number;
    live?: boolean;
    process?: ProcessRef;
    endless?: string;
    lastPid?: number;
    ofPid?: Entry[];
  } = {},
) {
  const argvs: string[][] = [];
  const spawn: SpawnProgram = (argv) => {
    argvs.push([...argv]);
    const killed = Promise.withResolvers<void>();
    async function* stdout() {
      if (argv[1] === '--sync') return;
      if (argv.at(-1) === running.endless) return await killed.promise;
      const isByPid = argv.some((word) => word.startsWith('_PID='));
      for (const [index, [minutesAgo, message]] of (isByPid ? (running.ofPid ?? []) : entries).entries()) {
        const fields = {
          ...{
            __CURSOR: `${isByPid ? 'p' : 'c'}${index}`,
            __REALTIME_TIMESTAMP: `${(nowMs - minutesAgo * MINUTE) * 1000}`,
            _PID: '87',
          },
          ...{ _UID: '107', MESSAGE: message },
          // journald does not know them of a process that has ended
          ...(isByPid ? {} : { _SYSTEMD_UNIT: 'etcd.service', _SYSTEMD_INVOCATION_ID: 'aa' }),
        };
        yield Buffer.from(`${JSON.stringify(fields)}\n`);
      }
    }
    return { stdout: stdout(), ended: Promise.resolve({ code: 0, stderr: '' }), kill: killed.resolve };
  };
  const clock = new FakeClock(nowMs);
  const judging = judgeProcess({
    journal: { spawn, clock, log: silentLog },
    clock,
    run: async () => ({ code: 0, stdout: `${running.lastPid ?? 0}\n`, stderr: '' }),
  })(
    {
      detected: detectedEtcd({}),
      folder: '/x',
      serials: new Map(),
      target: 'enforced',
      live: false,
      rootsPem: new Map(),
    },
    {
      ...{ component: 'etcd', unit: 'etcd.service', invocationId: 'aa', ok: true, detail: '' },
      ...{ process: running.process ?? { kind: 'unit', unit: 'etcd.service' }, live: running.live ?? false },
      ...{ cursor: running.cursor ?? '', startedAtMs: nowMs - (running.startedMinutesAgo ?? 0) * MINUTE },
    },
    new AbortController().signal,
  );
  if (running.endless !== undefined) {
    await until(() => argvs.at(-1)?.at(-1) === running.endless, 'the program that does not end');
    await clock.advance(MINUTE);
  }
  return { ...(await judging), place: argvs.at(-1)?.at(-1) };
}

const lines = (minutesAgo: number): Entry[] => serving.split('\n').map((line) => [minutesAgo, line]);

describe('judgeProcess', () => {
  it('reads from the cursor of a restart, and all of it counts', async () => {
    const { result, place } = await judge(lines(20), { cursor: 's=1', startedMinutesAgo: 20 });
    assert.deepEqual([result, place], ['passed', '--cursor=s=1']);
    const failed = await judge([...lines(20), [20, mismatched('10.0.0.1:4')]], {
      cursor: 's=1',
      startedMinutesAgo: 20,
    });
    assert.equal(failed.result, 'failed');
  });

  it('reads from the start of a process that was not restarted', async () => {
    const { result, place } = await judge(lines(60), { startedMinutesAgo: 60 });
    assert.deepEqual([result, place], ['passed', `--since=@${(nowMs - 60 * MINUTE) / 1000 - 1}`]);
  });

  it('holds only what was lately against a process that runs for longer', async () => {
    const started = { startedMinutesAgo: 60 };
    const ago = (minutes: number): Entry[] => [...lines(60), [minutes, mismatched('127.0.0.1:4')]];
    assert.equal((await judge(ago(11), started)).result, 'passed');
    const { result, evidence } = await judge(ago(9), started);
    assert.deepEqual([result, evidence[0]?.cause], ['failed', 'key-mismatch']);
  });

  it('proves nothing by a journal that does not reach back to the start, and lets nothing pass that is in it', async () => {
    const started = { startedMinutesAgo: 10_000 };
    const harmless: Entry = [5, '{"level":"info","msg":"compacted"}'];
    const { result, summary } = await judge([harmless], started);
    assert.equal(result, 'inconclusive');
    assert.match(summary, /was not read back to its start/);
    assert.equal((await judge([], started)).result, 'inconclusive');
    assert.equal((await judge([harmless, [4, mismatched('10.0.0.1:4')]], started)).result, 'failed');
  });

  it('reads what was lately alone of a journal that takes too long from the start', async () => {
    const since = (minutes: number) => `--since=@${(nowMs - minutes * MINUTE) / 1000 - 1}`;
    const started = { startedMinutesAgo: 100_000, endless: since(100_000) };
    const { result, place } = await judge([[5, '{"level":"info","msg":"compacted"}']], started);
    assert.deepEqual([result, place], ['inconclusive', since(10)]);
    assert.equal((await judge([[5, mismatched('127.0.0.1:4')]], started)).result, 'failed');
  });

  describe('of a process that was left running', () => {
    const live = { cursor: 's=1', startedMinutesAgo: 1, live: true };

    it('asks for no sign of success', async () => {
      const { result, summary } = await judge([], live);
      assert.deepEqual(
        [result, summary],
        ['passed', 'etcd.service says nothing against its certificates since it was given new ones'],
      );
      assert.equal((await judge([[1, '{"level":"info","msg":"compacted"}']], live)).result, 'passed');
    });

    it('fails for what it writes against its certificates', async () => {
      const { result, evidence } = await judge([[1, mismatched('10.0.0.1:4')]], live);
      assert.deepEqual([result, evidence[0]?.cause], ['failed', 'key-mismatch']);
    });
  });

  it('finds why a process ended at once in what it wrote without its unit', async () => {
    const restarted = { cursor: 's=1', startedMinutesAgo: 1 };
    const conflict: Entry = [1, 'conflicting environment variable ETCD_NAME is shadowed'];
    const ended: Entry[] = [[1, '{"level":"fatal","msg":"discovery failed"}']];
    const alone = await judge(ended, restarted);
    assert.deepEqual([alone.result, alone.evidence.map(({ cause }) => cause)], ['failed', ['start-failed']]);
    const { result, evidence, place } = await judge(ended, { ...restarted, lastPid: 87, ofPid: [conflict] });
    assert.deepEqual([result, place], ['failed', '--cursor=s=1']);
    assert.deepEqual(
      evidence.map(({ cause, source }) => [cause, source]),
      [
        ['start-failed', 'journal etcd.service'],
        ['conflicting-setting', 'journal etcd.service'],
      ],
    );
  });

  it('skips what nothing runs of, and reads nothing', async () => {
    const { result, place } = await judge(lines(1), { process: { kind: 'none' } });
    assert.deepEqual([result, place], ['skipped', undefined]);
  });

  it('misses the sign of success where the start is there', async () => {
    const quiet: Entry[] = [[60, '{"level":"info","msg":"starting"}']];
    assert.equal((await judge(quiet, { startedMinutesAgo: 60 })).result, 'inconclusive');
    assert.equal((await judge([], { startedMinutesAgo: 1 })).result, 'inconclusive');
    assert.equal((await judge([], { cursor: 's=1' })).result, 'inconclusive');
  });
});
