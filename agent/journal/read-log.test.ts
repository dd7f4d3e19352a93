import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { silentLog } from '../../common/log/log.ts';
import { FakeClock } from '../../common/time/fake-clock.ts';
import type { ProcessRef } from '../process/process-ref.ts';
import { MOST_ENTRIES } from './kept-entries.ts';
import { readLog } from './read-log.ts';
import type { SpawnProgram } from './spawn-program.ts';

const STARTED_MS = Date.parse('2026-11-24T10:14:03.500Z');
const POD: ProcessRef = {
  kind: 'static-pod',
  pod: 'etcd-cp1',
  namespace: 'kube-system',
  container: 'etcd',
  manifest: '/etc/kubernetes/manifests/etcd.yaml',
};

/** A CRI line that many milliseconds after the start. */
const cri = (afterMs: number, text: string, tag = 'F', stream = 'stderr') =>
  `${new Date(STARTED_MS + afterMs).toISOString().replace('Z', '123456Z')} ${stream} ${tag} ${text}\n`;

/** A folder of logs, and a reader of it that has no journalctl. */
async function begin(test: TestContext, files: Record<string, string>) {
  const podLogs = await mkdtemp(join(tmpdir(), 'kube-mtls-pods-'));
  test.after(() => rm(podLogs, { recursive: true }));
  for (const [name, text] of Object.entries(files)) {
    const file = join(podLogs, name);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
    await utimes(file, new Date(STARTED_MS + 60_000), new Date(STARTED_MS + 60_000));
  }
  const argvs: string[][] = [];
  const spawn: SpawnProgram = (argv) => {
    argvs.push([...argv]);
    async function* stdout() {
      if (argv[1] === '--sync') return;
      const fields = { __CURSOR: 'c9', __REALTIME_TIMESTAMP: '1795519998821017', _SYSTEMD_UNIT: 'etcd.service' };
      yield Buffer.from(`${JSON.stringify({ ...fields, MESSAGE: 'of the journal' })}\n`);
    }
    return { stdout: stdout(), ended: Promise.resolve({ code: 0, stderr: '' }), kill: () => {} };
  };
  const deps = { spawn, clock: new FakeClock(), log: silentLog, podLogs };
  const { signal } = new AbortController();
  const read = (process: ProcessRef = POD, cursor = '', startedAtMs = STARTED_MS) =>
    readLog(deps, process, { cursor, startedAtMs, signal });
  const messages = async () => (await read()).map(({ message }) => message);
  return { podLogs, deps, argvs, read, messages };
}

const LOG = 'kube-system_etcd-cp1_aaa/etcd/0.log';

describe('readLog', () => {
  it("reads a unit's entries after the cursor, or without one since a second before the start", async (test) => {
    const { argvs, read } = await begin(test, {});
    const unit: ProcessRef = { kind: 'unit', unit: 'etcd.service' };
    assert.deepEqual(
      (await read(unit, 'c1')).map(({ message }) => message),
      ['of the journal'],
    );
    await read(unit);
    const [, after, , since] = argvs;
    assert.ok(after?.includes('--cursor=c1') && after.includes('--unit=etcd.service'));
    assert.ok(since?.includes(`--since=@${(STARTED_MS - 1000) / 1000}`));
  });

  it('reads nothing where nothing runs', async (test) => {
    const { argvs, read } = await begin(test, {});
    assert.deepEqual([await read({ kind: 'none' }), argvs], [[], []]);
  });

  it('leaves out what a stranger wrote', async (test) => {
    const refused =
      'http: TLS handshake error from 10.77.0.9:1: tls: client requested unsupported application protocols ([x';
    const forged = cri(1, 'Error: x509: certificate signed by unknown authority');
    const { messages } = await begin(test, { [LOG]: `${cri(1, refused)}${forged}${cri(1000, 'later')}` });
    assert.deepEqual(await messages(), [refused, 'later']);
  });

  it("gives a pod's lines with their time, under the pod's name", async (test) => {
    const { read } = await begin(test, { [LOG]: cri(1, 'hello world') });
    assert.deepEqual(await read(), [
      {
        cursor: '',
        realtimeMs: STARTED_MS + 1,
        unit: 'etcd-cp1',
        identifier: 'etcd',
        pid: 0,
        invocationId: '',
        message: 'hello world',
        fromSystemd: false,
      },
    ]);
  });

  const rows: [what: string, files: Record<string, string>, messages: string[]][] = [
    ['a pod without logs', {}, []],
    ['an empty log', { [LOG]: '' }, []],
    ['an empty line', { [LOG]: cri(1, '') }, ['']],
    ['a line as long ago as the start', { [LOG]: cri(-5000, 'a') + cri(-1, 'b') + cri(0, 'c') }, ['c']],
    ['a container that is younger than a second before the start', { [LOG]: cri(-900, 'a') + cri(1, 'b') }, ['a', 'b']],
    [
      'the parts of a long line',
      { [LOG]: cri(1, 'a', 'P') + cri(2, 'b', 'P') + cri(3, 'c') + cri(4, 'd') },
      ['abc', 'd'],
    ],
    [
      'parts of two streams',
      { [LOG]: cri(1, 'a', 'P') + cri(2, 'x', 'P', 'stdout') + cri(3, 'b') + cri(4, 'y', 'F', 'stdout') },
      ['ab', 'xy'],
    ],
    ['further tags', { [LOG]: cri(1, 'a', 'P:x') + cri(2, 'b', 'F:y:z') }, ['ab']],
    ['what has no such form, and a line cut off', { [LOG]: `x\n\0\0\n${cri(1, 'a')}2026-11-24T10:1` }, ['a']],
    [
      "Docker's form",
      {
        [LOG]: [
          { log: 'a', stream: 'stderr', time: '2026-11-24T10:14:03.600000001Z' },
          { log: 'b\n', stream: 'stderr', time: '2026-11-24T10:14:03.7Z' },
          { log: 'c\n', stream: 'stdout', time: '2026-11-24T10:14:03.8Z' },
          { log: 'never\n', stream: 'stdout', time: '2026-11-24T10:14:01Z' },
          { msg: 'none of its lines' },
        ]
          .map((line) => `${JSON.stringify(line)}\n`)
          .join(''),
      },
      ['ab', 'c'],
    ],
    ['another time zone', { [LOG]: '2026-11-24T11:14:03.600000000+01:00 stderr F a\n' }, ['a']],
    [
      'several runs of the container, and several manifests of the pod, in the order of time',
      {
        [LOG]: cri(-9000, 'old') + cri(2, 'stopped'),
        'kube-system_etcd-cp1_bbb/etcd/0.log': cri(1, 'first') + cri(3, 'third'),
        'kube-system_etcd-cp1_bbb/etcd/1.log': cri(4, 'fourth'),
        'kube-system_etcd-cp1_bbb/etcd/10.log': cri(5, 'fifth'),
      },
      ['first', 'stopped', 'third', 'fourth', 'fifth'],
    ],
    [
      'what rotation put away meanwhile',
      { [LOG]: cri(2, 'b'), 'kube-system_etcd-cp1_aaa/etcd/0.log.20261124-101400': cri(-9000, 'old') + cri(1, 'a') },
      ['a', 'b'],
    ],
    [
      'no other pod, namespace or container, and no packed file',
      {
        [LOG]: cri(1, 'a'),
        'kube-system_etcd-cp1_aaa/etcd/0.log.20261124-101300.gz': cri(1, 'packed'),
        'kube-system_etcd-cp1_aaa/other/0.log': cri(1, 'container'),
        'kube-system_etcd-cp10_aaa/etcd/0.log': cri(1, 'pod'),
        'other_etcd-cp1_aaa/etcd/0.log': cri(1, 'namespace'),
      },
      ['a'],
    ],
  ];
  for (const [what, files, expected] of rows) {
    it(`understands ${what}`, async (test) => {
      const { messages } = await begin(test, files);
      assert.deepEqual(await messages(), expected);
    });
  }

  it('follows a link, and passes over one that leads nowhere', async (test) => {
    const { podLogs, messages } = await begin(test, { 'docker/x-json.log': cri(1, 'a') });
    const folder = join(podLogs, dirname(LOG));
    await mkdir(folder, { recursive: true });
    await symlink(join(podLogs, 'docker/x-json.log'), join(folder, '0.log'));
    await symlink(join(podLogs, 'gone'), join(folder, '1.log'));
    assert.deepEqual(await messages(), ['a']);
  });

  it('does not open a file that nobody wrote to since the start', async (test) => {
    const { podLogs, messages } = await begin(test, { [LOG]: cri(1, 'a') });
    await utimes(join(podLogs, LOG), new Date(STARTED_MS), new Date(STARTED_MS - 1001));
    assert.deepEqual(await messages(), []);
  });

  it('leaves out the middle of a long log', async (test) => {
    const text = Array.from({ length: MOST_ENTRIES + 2 }, (_, index) => cri(index, `${index}`)).join('');
    const { messages } = await begin(test, { [LOG]: text });
    const kept = await messages();
    assert.equal(kept.length, MOST_ENTRIES);
    const half = MOST_ENTRIES / 2;
    assert.deepEqual(
      [kept[0], kept[half - 1], kept[half], kept.at(-1)],
      ['0', `${half - 1}`, `${half + 2}`, `${MOST_ENTRIES + 1}`],
    );
  });

  it("says 'unavailable' when a log cannot be read, and stops when the signal fires", async (test) => {
    const { podLogs, deps, read } = await begin(test, {});
    await mkdir(join(podLogs, LOG), { recursive: true });
    await assert.rejects(read(), { reason: 'unavailable', message: /0\.log could not be read/ });
    const from = { cursor: '', startedAtMs: STARTED_MS, signal: AbortSignal.abort() };
    await assert.rejects(readLog(deps, POD, from), { name: 'AbortError' });
  });

  it('reads no log without end, and waits for no pipe', { timeout: 20_000 }, async (test) => {
    const { podLogs, read } = await begin(test, { [LOG]: '' });
    const message = /0\.log could not be read: it is no regular file on a disk/;
    await rm(join(podLogs, LOG));
    await symlink('/proc/self/pagemap', join(podLogs, LOG));
    await assert.rejects(read(), { reason: 'unavailable', message });
    await rm(join(podLogs, LOG));
    execFileSync('mkfifo', [join(podLogs, LOG)]);
    await assert.rejects(read(), { reason: 'unavailable', message });
  });
});
