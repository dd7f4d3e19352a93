import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import type { RunCommand } from '../../common/run/command.ts';
import { FakeClock } from '../../common/time/fake-clock.ts';
import { layoutBelow } from '../layout.ts';
import { BOOTED_AT_MS, putProcess } from './fake-proc.ts';
import { showProcess } from './show-process.ts';

const parent = mkdtempSync(join(tmpdir(), 'kube-mtls-show-'));
after(() => rmSync(parent, { recursive: true }));

const ID = '0123456789abcdef'.repeat(4);
const CGROUP = `0::/kubepods/pod1a/${ID}\n`;
const MANIFEST = 'spec: {containers: [{name: etcd, command: [etcd, --a]}]}\n';

function newDeps(shown: Record<string, string> = {}) {
  const root = mkdtempSync(join(parent, 'x-'));
  const run: RunCommand = async () => {
    const values = { LoadState: 'loaded', ActiveState: 'active', SubState: 'running', MainPID: '7', ...shown };
    const stdout = Object.entries(values).map(([name, value]) => `${name}=${value}\n`);
    return { code: 0, stdout: stdout.join(''), stderr: '' };
  };
  const manifest = join(root, 'etcd.yaml');
  const pod = { kind: 'static-pod', pod: 'etcd-a', namespace: 'kube-system', container: 'etcd', manifest } as const;
  return { deps: { layout: layoutBelow(root), run, clock: new FakeClock() }, pod, root };
}

describe('showProcess of a static pod', () => {
  const show = async (manifest: string | undefined, ...argvs: string[][]) => {
    const { deps, pod, root } = newDeps();
    if (manifest !== undefined) writeFileSync(pod.manifest, manifest);
    for (const [at, argv] of argvs.entries()) {
      putProcess(root, { pid: 10 + at, argv, cgroup: CGROUP, startedAfterMs: 1000 * at });
    }
    const state = await showProcess(deps, pod);
    return { ...state, text: state.text.replace(pod.manifest, 'MANIFEST'), nowMs: deps.clock.nowMs() };
  };

  it('is active while a container runs with the command of the manifest', async () => {
    const { nowMs, ...state } = await show(MANIFEST, ['etcd', '--b'], ['/bin/etcd', '--a']);
    assert.deepEqual(state, {
      activeState: 'active',
      text: 'container 0123456789ab runs',
      invocationId: ID,
      wanted: true,
      startedAtMs: BOOTED_AT_MS + 1000,
      mainPid: 11,
      result: '',
      stopLimitMs: 0,
      startLimitMs: 0,
    });
  });

  const absent: [title: string, manifest: string | undefined, argv: string[], state: [string, boolean, string]][] = [
    ['none runs', MANIFEST, ['x'], ['activating', true, 'no container runs with the command of MANIFEST']],
    [
      'another manifest runs',
      MANIFEST,
      ['etcd', '--b'],
      [
        'activating',
        true,
        'no container runs with the command of MANIFEST; container 0123456789ab runs with other arguments',
      ],
    ],
    ['the manifest is gone', undefined, ['etcd', '--a'], ['inactive', false, 'there is no MANIFEST']],
    ['the manifest is torn', 'spec: {', ['etcd'], ['activating', true, 'MANIFEST says no command of a container etcd']],
  ];
  for (const [title, manifest, argv, expected] of absent) {
    it(`tells that ${title}`, async () => {
      const { activeState, wanted, text, invocationId, mainPid, startedAtMs, nowMs } = await show(manifest, argv);
      assert.deepEqual([activeState, wanted, text], expected);
      assert.deepEqual([invocationId, mainPid, startedAtMs], ['', 0, nowMs]);
    });
  }
});

describe('showProcess of a unit', () => {
  it('tells what systemd says', async () => {
    const { deps } = newDeps({ InvocationID: 'abc', TimeoutStopUSec: '1min 30s', Result: 'success' });
    const state = await showProcess(deps, { kind: 'unit', unit: 'etcd.service' });
    assert.deepEqual(
      [state.activeState, state.text, state.invocationId, state.wanted, state.mainPid, state.stopLimitMs, state.result],
      ['active', 'active (running)', 'abc', true, 7, 90_000, 'success'],
    );
  });

  it('does not want one that is stopped and disabled', async () => {
    const { deps } = newDeps({ ActiveState: 'inactive', UnitFileState: 'disabled' });
    assert.equal((await showProcess(deps, { kind: 'unit', unit: 'etcd.service' })).wanted, false);
  });
});

describe('showProcess of nothing', () => {
  it('is nothing', async () => {
    const { deps } = newDeps();
    const { activeState, text, invocationId, wanted } = await showProcess(deps, { kind: 'none' });
    assert.deepEqual([activeState, text, invocationId, wanted], ['', '', '', false]);
  });
});
