import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { layoutBelow } from '../layout.ts';
import { type AgentState, loadAgentState, saveAgentState } from './agent-state.ts';
import { StatusBoard } from './status-board.ts';

const parent = mkdtempSync(join(tmpdir(), 'kube-mtls-state-'));
after(() => rmSync(parent, { recursive: true }));

const empty: AgentState = { version: 1, settings: undefined, statuses: [], failed: [], kept: [] };

function full(etcdStep: 'prepare' | undefined): AgentState {
  const board = new StatusBoard(() => 7);
  const evidence = [
    { source: 'journal etcd.service', line: 'x', observedAtMs: 5, cause: 'expired', rank: 'hint' as const },
  ];
  board.set('etcd', {
    state: 'rolled-back',
    checks: [{ kind: 'journal', result: 'failed', summary: 'no', evidence }],
    certificates: [{ profile: 'etcd-server', serial: '1a', path: '/x', notAfterMs: 9, issuerPin: 'sha256:ab' }],
    ...{ reloads: 2, trust: [{ authority: 'etcd', rootPins: ['sha256:ab'] }] },
    etcd: { clusterId: 'c1', members: ['a'], prepared: true, enforced: false, plaintext: false },
  });
  board.set('kubelet', { state: 'pending' });
  const cluster = { name: 'lab', apiEndpoint: 'a:1', serviceAddress: '10.96.0.1', dnsDomain: 'cluster.local' };
  return {
    version: 1,
    settings: {
      ...{
        generation: 1_700_000_000_000,
        heartbeatMs: 10_000,
        rolloutPaused: true,
        retryGeneration: 3,
        trustGeneration: 2,
      },
      node: {
        nodeName: 'cp1',
        role: 'control-plane',
        addresses: ['10.0.0.1'],
        cluster,
        kubeletVerification: 'with-restart',
        etcdStep,
      },
    },
    statuses: board.all(),
    failed: [{ fingerprint: 'f00d', reason: 'no', retryGeneration: 3, atMs: 11, kind: 'drift' }],
    kept: [{ component: 'etcd', path: '/etc/x', sha256: 'ab', mode: 0o644, uid: 0, gid: 0 }],
  };
}

describe('agent state', () => {
  for (const etcdStep of ['prepare', undefined] as const) {
    it(`comes back as it was saved, with the etcd step ${etcdStep}, for root alone`, async () => {
      const layout = layoutBelow(mkdtempSync(join(parent, 'node-')));
      await saveAgentState(layout, full(etcdStep));
      assert.deepEqual(await loadAgentState(layout), full(etcdStep));
      assert.equal(statSync(layout.stateFile).mode & 0o777, 0o600);
    });
  }

  it('is empty on a node that remembers nothing', async () => {
    assert.deepEqual(await loadAgentState(layoutBelow(mkdtempSync(join(parent, 'node-')))), empty);
  });

  it('takes the memory of an older version, which knew less', async () => {
    const layout = layoutBelow(mkdtempSync(join(parent, 'node-')));
    const { statuses, failed, kept: _, ...rest } = full('prepare');
    const older = {
      ...rest,
      failed: failed.map(({ fingerprint, reason, retryGeneration }) => ({ fingerprint, reason, retryGeneration })),
      statuses: statuses.map(({ reloads, trust, certificates, ...status }) => ({
        ...status,
        certificates: certificates.map(({ issuerPin, ...certificate }) => certificate),
      })),
    };
    await saveAgentState(layout, full('prepare'));
    writeFileSync(layout.stateFile, JSON.stringify(older));
    const state = await loadAgentState(layout);
    const [status = assert.fail()] = state.statuses;
    assert.deepEqual([status.reloads, status.trust, status.certificates[0]?.issuerPin], [0, [], '']);
    assert.deepEqual([state.kept, state.failed[0]?.kind, state.failed[0]?.atMs], [[], 'failed', 0]);
    assert.equal(state.settings?.node.nodeName, 'cp1');
  });

  it('is empty when any of it is damaged or of another version: it must not bring the daemon down', async () => {
    const layout = layoutBelow(mkdtempSync(join(parent, 'node-')));
    await saveAgentState(layout, full('prepare'));
    const good = readFileSync(layout.stateFile, 'utf8');
    const damages: [from: string, to: string][] = [
      ['"version": 1', '"version": 2'],
      ['"checks"', '"checked"'],
      ['"rolled-back"', '"rolled"'],
      ['"kind": "drift"', '"kind": "drifted"'],
      ['"observedAtMs": 5', '"observedAtMs": null'],
      ['"control-plane"', '"boss"'],
      ['"retryGeneration": 3', '"retryGeneration": "3"'],
      ['}', ''],
      [good, 'null'],
      [good, ''],
    ];
    for (const [from, to] of damages) {
      assert.ok(good.includes(from), from);
      writeFileSync(layout.stateFile, good.replace(from, to));
      assert.deepEqual(await loadAgentState(layout), empty, to);
    }
  });
});
