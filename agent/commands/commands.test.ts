import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it, type TestContext } from 'node:test';
import { silentLog } from '../../common/log/log.ts';
import { until } from '../../common/time/until-for-tests.ts';
import { serveControl } from '../control/control-server.ts';
import { type Enrolment, saveEnrolment } from '../enrol/enrolment.ts';
import { layoutBelow } from '../layout.ts';
import type { PassResult } from '../reconcile/reconciler.ts';
import { StatusBoard } from '../report/status-board.ts';
import type { RotateOutcome } from '../rotate.ts';
import type { SessionState } from '../session/session.ts';
import { applyCommand } from './apply.ts';
import { statusCommand } from './status.ts';
import { verifyCommand } from './verify.ts';

const parent = mkdtempSync(join(tmpdir(), 'kube-mtls-commands-'));
after(() => rmSync(parent, { recursive: true }));

const enrolment: Enrolment = {
  ...{ bootstrapEndpoint: 'cp1:9443', fleetEndpoint: 'cp1:9444', pin: 'sha256:00', nodeName: 'w1' },
  ...{ role: 'worker', mode: 'enforce' },
};

/** The layout of a node whose daemon answers so. */
async function daemon(test: TestContext, answers: Record<string, unknown>) {
  const layout = layoutBelow(mkdtempSync(join(parent, 'node-')));
  const stop = new AbortController();
  const handlers = Object.fromEntries(Object.entries(answers).map(([name, answer]) => [name, async () => answer]));
  const serving = serveControl({ socketPath: layout.controlSocket, handlers, log: silentLog }, stop.signal);
  test.after(async () => {
    stop.abort();
    await serving;
  });
  await until(() => existsSync(layout.controlSocket), 'the control socket');
  return layout;
}

function passed(outcomes: RotateOutcome[], problem = ''): PassResult {
  return { problem, outcomes: outcomes.map((outcome) => ({ changeId: 'c1', components: ['kubelet'], outcome })) };
}

describe('apply', () => {
  const results: [what: string, result: PassResult, text: RegExp, ok: boolean][] = [
    ['nothing was to do', passed([]), /^nothing to do$/, true],
    ['a change was kept', passed([{ outcome: 'kept' }]), /^kubelet \(c1\): verified$/, true],
    [
      'one was undone',
      passed([{ outcome: 'undone', reason: 'nobody trusts it' }]),
      /: undone: nobody trusts it$/,
      false,
    ],
    [
      'one was not begun',
      passed([{ outcome: 'not-begun', reason: 'no such name' }]),
      /: not-begun: no such name$/,
      false,
    ],
    ['nothing may be done', passed([], 'the rollout is paused'), /^the rollout is paused$/, false],
    ['a problem came up afterwards', passed([{ outcome: 'kept' }], 'no answer'), /verified\nno answer$/, false],
  ];
  for (const [what, result, text, ok] of results) {
    it(`tells that ${what}`, async (test) => {
      const said = await applyCommand(await daemon(test, { apply: result }));
      assert.match(said.text, text);
      assert.equal(said.ok, ok);
    });
  }
});

describe('verify', () => {
  it('is well only when there is something and all of it is verified', async (test) => {
    const board = new StatusBoard(() => 0);
    const verify = async () => verifyCommand(await daemon(test, { verify: { statuses: board.all() } }), 'text');
    assert.deepEqual(await verify(), { text: 'no Kubernetes component was found on this node', ok: false });
    const evidence = [
      {
        source: 'handshake 127.0.0.1:10250',
        line: 'served serial 1a',
        observedAtMs: 0,
        cause: '',
        rank: 'proof' as const,
      },
    ];
    board.set('kubelet', {
      state: 'verified',
      checks: [{ kind: 'handshake', result: 'passed', summary: 'good', evidence }],
    });
    const good = await verify();
    assert.equal(good.ok, true);
    assert.match(good.text, /kubelet +VERIFIED/);
    assert.match(good.text, /handshake 127\.0\.0\.1:10250: served serial 1a/);
    board.set('etcd', { state: 'degraded', reason: 'expired' });
    assert.equal((await verify()).ok, false);
  });
});

describe('status', () => {
  const connected: SessionState = { connected: true, sinceMs: 0, problem: '', attempts: 0 };
  const lost: SessionState = { connected: false, sinceMs: 0, problem: 'the server cannot be reached', attempts: 3 };

  it('tells of node, server and components', async (test) => {
    const board = new StatusBoard(() => 0);
    board.set('kubelet', {
      ...{ state: 'rolled-back', reason: 'nobody trusts it', unit: 'kubelet.service', version: '1.20.2' },
      ...{ restarts: 1, reloads: 14 },
      certificates: [
        { profile: 'kubelet-serving', serial: '1a', path: '/pki/serving.crt', notAfterMs: 0, issuerPin: '' },
      ],
    });
    const answer = { enrolment, mode: 'observe', session: lost, statuses: board.all() };
    const layout = await daemon(test, { status: answer });
    await saveEnrolment(layout, enrolment);
    const text = await statusCommand(layout, 'text');
    assert.match(text, /^node +w1 \(worker\), observe$/m);
    assert.match(text, /cp1:9444, not connected since 1970.*, 3 attempts: the server cannot be reached$/m);
    assert.match(text, /^kubelet +ROLLED-BACK +kubelet\.service 1\.20\.2$/m);
    assert.match(text, /^ {2}nobody trusts it$/m);
    assert.match(text, /^ {2}restarted once, took new files up live 14 times$/m);
    assert.match(text, /until 1970-01-01T00:00Z {2}\/pki\/serving\.crt {2}1a/);
    assert.deepEqual(JSON.parse(await statusCommand(layout, 'json')).session, lost);
  });

  it('tells since when it is connected', async (test) => {
    const layout = await daemon(test, { status: { enrolment, mode: 'enforce', session: connected, statuses: [] } });
    await saveEnrolment(layout, enrolment);
    assert.match(await statusCommand(layout, 'text'), /cp1:9444, connected since 1970/);
  });

  it('says how to join on a node that has not, and how to look for a daemon that is silent', async () => {
    const layout = layoutBelow(mkdtempSync(join(parent, 'node-')));
    await assert.rejects(statusCommand(layout, 'text'), { reason: 'not-found', message: /token create --print-join/ });
    await saveEnrolment(layout, enrolment);
    await assert.rejects(statusCommand(layout, 'text'), { reason: 'unavailable', message: /systemctl status/ });
  });
});
