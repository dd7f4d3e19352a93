import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import type { Component } from '../../common/names/names.ts';
import { until } from '../../common/time/until-for-tests.ts';
import { FakeServer, turns } from './fake-server.ts';
import { restartUnit } from './restart-unit.ts';
import { stopUnit } from './stop-dependants.ts';

const parent = mkdtempSync(join(tmpdir(), 'kube-mtls-slow-unit-'));
after(() => rmSync(parent, { recursive: true }));

/** A unit with a server that closes its port when systemd stops it, and ends a minute later. */
function slowUnit({ activeState = 'deactivating', mainPid = 4242 } = {}) {
  const server = new FakeServer(parent);
  const state = { ActiveState: 'active', SubState: 'running', MainPID: server.pid, InvocationID: 'old' };
  server.others = async (argv) => {
    const done = { code: 0, stdout: '', stderr: '' };
    if (argv[1] === 'show') {
      return {
        ...done,
        stdout: Object.entries({ ...state, Result: 'success' })
          .map((line) => `${line.join('=')}\n`)
          .join(''),
      };
    }
    Object.assign(state, { ActiveState: activeState, SubState: 'stop-sigterm', MainPID: mainPid });
    server.listen(false);
    server.at(server.nowMs + 60_000, () => server.die());
    await server.ended;
    const isUp = argv[1] === 'restart';
    Object.assign(state, { ActiveState: isUp ? 'active' : 'failed', MainPID: isUp ? 4243 : 0, InvocationID: 'new' });
    return done;
  };
  const deps = { ...server.deps, currentCursor: async () => 's=1' };
  const restart = (component: Component = 'kube-apiserver') => restartUnit(deps, component, 'a.service');
  return { server, deps, restart };
}

describe('an API server that is slow to stop, as a unit', () => {
  it('is ended once it has closed its port, while it restarts', async () => {
    const { server, restart } = slowUnit();
    const { ok, invocationId } = await restart();
    assert.deepEqual([ok, invocationId], [true, 'new']);
    assert.deepEqual(server.signals, [['TERM', 400]]);
  });

  it('is ended too where it only stops, before etcd restarts', async () => {
    const { server, deps } = slowUnit();
    await stopUnit(deps, { component: 'kube-apiserver', unit: 'a.service' });
    assert.deepEqual(server.signals, [['TERM', 400]]);
  });

  const rows: [title: string, state: { activeState?: string; mainPid?: number }][] = [
    ['systemd is not stopping it', { activeState: 'active' }],
    ['it is no longer the main process', { mainPid: 4243 }],
  ];
  for (const [title, state] of rows) {
    it(`is left alone when ${title}`, async () => {
      const { server, restart } = slowUnit(state);
      const restarted = restart();
      await until(() => server.nowMs >= 400, '400 ms of its clock');
      await turns(500);
      assert.deepEqual(server.signals, []);
      server.die();
      await restarted;
    });
  }

  it('is the only component that is ended', async () => {
    const { server, restart } = slowUnit();
    const restarted = restart('etcd');
    await turns(500);
    assert.deepEqual([server.signals, server.nowMs], [[], 0]);
    server.die();
    await restarted;
  });
});
