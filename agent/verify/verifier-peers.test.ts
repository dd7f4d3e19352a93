import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { components } from '../../common/names/names.ts';
import { FakeClock } from '../../common/time/fake-clock.ts';
import type { Detected } from '../detect/detected.ts';
import { FindingLog } from '../journal/finding-log.ts';
import { layoutBelow } from '../layout.ts';
import { FakeLink } from '../link/fake-link.ts';
import type { Change, ComponentChange, Target } from '../plan/change.ts';
import { refOf } from '../process/process-ref.ts';
import type { RestartedChange } from '../restart/restart-units.ts';
import type { SignedChange, SignedSlot } from '../sign/signed-change.ts';
import type { ChangeRecord } from '../stage/change-record.ts';
import { detectedAdmin, detectedManager } from './detected-for-tests.ts';
import { OwnCalls } from './own-calls.ts';
import { folderOf, kubeconfigText, testAuthority } from './pki-for-tests.ts';
import type { Probe } from './probe.ts';
import { Verifier } from './verifier.ts';

const signal = new AbortController().signal;

/** A scheduler and administrators that are well in every way after a change, and what the peers are asked then. */
async function verify(test: TestContext, target: Target, servingFile: string | undefined, isRestarted = true) {
  const authority = await testAuthority('kubernetes');
  const leaf = await authority.issue();
  const folder = await folderOf(test, {});
  const kubeconfig = join(folder, 'some.conf');
  await writeFile(kubeconfig, kubeconfigText(6443, authority.rootsPem, leaf));
  const detectedOnes: Detected[] = [
    detectedManager('kube-scheduler', { 'secure-port': '0', 'leader-elect': 'false' }, { [kubeconfig]: '' }),
    detectedAdmin({ admin: kubeconfig }),
  ];
  const changes = detectedOnes.map(
    (detected): ComponentChange => ({
      ...{ component: detected.component, detected, folder, uid: 0, gid: 0, slots: [], bundles: [], files: [] },
      ...{ memberUpdate: undefined, target, takeUp: 'restart', summary: [] },
    }),
  );
  const slot = (component: Detected['component'], file: string, serial: string): SignedSlot => ({
    ...{ component, file, profile: 'probe-client', keyPem: '', certificatePem: '', serial, notAfterMs: 0 },
  });
  const change: Change = { changeId: 'c1', components: changes } as Change; // verification looks at no more of it
  const signed: SignedChange = {
    stage: 'signed',
    change,
    certificates: [
      slot('kube-scheduler', 'client', leaf.serial),
      slot('admin', 'admin', leaf.serial),
      ...(servingFile === undefined ? [] : [slot('kube-scheduler', servingFile, '5e1')]),
    ],
    bundles: [{ authority: 'kubernetes', rootsPem: authority.rootsPem }],
  };
  const units = detectedOnes.map(({ component, process }) => ({
    ...{ component, process: refOf(process), unit: process.name, live: false, cursor: 'c', startedAtMs: 0 },
    ...{ invocationId: 'aa', ok: isRestarted, detail: isRestarted ? '' : 'a dependency failed' },
  }));
  const record = {} as ChangeRecord; // verification does not look at it
  const restarted: RestartedChange = { stage: 'restarted', change, record, units, leftStopped: [], ok: isRestarted };

  const clock = new FakeClock();
  const link = new FakeLink(new Map());
  const serials: unknown[] = [];
  link.instead.peers = ({ component, serial }) => {
    serials.push([components.toWord(component ?? 0), serial]);
    return { check: { summary: 'no complaint' } };
  };
  const probe: Probe = async ({ path, method }) => {
    const access = { status: { allowed: true } };
    const status = path.endsWith('/selfsubjectreviews') ? 404 : method === 'POST' ? 201 : 200;
    return { kind: 'answered', status, body: JSON.stringify(access), served: undefined };
  };
  const verifier = new Verifier({
    ...{ clock, probe, link, findings: new FindingLog(clock), own: new OwnCalls(clock), offsetMs: () => 0 },
    layout: layoutBelow('/nowhere'),
    run: async () => ({ code: 0, stdout: 'ActiveState=active\nMainPID=1\nInvocationID=aa\nNRestarts=0\n', stderr: '' }),
    judgeJournal: async () => ({ kind: 'journal', result: 'passed', summary: 'quiet', evidence: [] }),
    endpointsOf: () => ['10.0.0.1:10259'],
    sharedEndpointsOf: () => [],
  });
  let ended = false;
  const running = verifier.verify({ signed, restarted, permit: { permitId: 'p1' } }, signal).finally(() => {
    ended = true;
  });
  running.catch(() => {}); // the caller hears of it
  while (!ended) {
    await new Promise((resolve) => setImmediate(resolve));
    if (clock.sleeping > 0) await clock.advance(1000);
  }
  return { verdict: await running, serials };
}

describe('the peers that the verifier asks', () => {
  it('are asked for the serial of what they connect to, and about nothing that nobody connects to', async (test) => {
    const { serials } = await verify(test, 'enforced', 'serving');
    assert.deepEqual(serials, [['kube-scheduler', '5e1']]);
  });

  it('are asked for any serial of what keeps a certificate that is not ours', async (test) => {
    const { serials } = await verify(test, 'trusting', undefined);
    assert.deepEqual(serials, [['kube-scheduler', '']]);
  });

  it('are not asked, and nothing is good, where a restart failed, whatever the checks found afterwards', async (test) => {
    const { verdict, serials } = await verify(test, 'enforced', 'serving', false);
    const results = [...verdict.checks.values()].flat().map(({ result }) => result);
    assert.ok(results.includes('passed') && !results.includes('failed'), results.join());
    assert.equal(verdict.ok, false);
    assert.equal(verdict.reason, 'kube-scheduler.service did not restart: a dependency failed');
    assert.deepEqual(serials, []);
  });

  it('cannot be asked about what was to be served and was never signed', async (test) => {
    await assert.rejects(verify(test, 'enforced', undefined), { message: /no serving certificate was signed/ });
  });
});
