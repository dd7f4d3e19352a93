import assert from 'node:assert/strict';
import { before, describe, it, type TestContext } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { systemClock } from '../../common/time/clock.ts';
import { FakeClock } from '../../common/time/fake-clock.ts';
import type { Detected } from '../detect/detected.ts';
import { layoutBelow } from '../layout.ts';
import {
  detectedAdmin,
  detectedApiserver,
  detectedEtcd,
  detectedManager,
  detectedProxy,
} from './detected-for-tests.ts';
import { kubeconfigText, serveTls, type TestAuthority, type TestLeaf, testAuthority } from './pki-for-tests.ts';
import { type Probe, type ProbeOutcome, probe } from './probe.ts';
import { servedBefore } from './served-before.ts';
import { verifyOld } from './verify-old.ts';

const signal = new AbortController().signal;

describe('what was there before a change', () => {
  let authority: TestAuthority;
  let serving: TestLeaf;
  let client: TestLeaf;

  before(async () => {
    authority = await testAuthority('kubernetes');
    serving = await authority.issue();
    client = await authority.issue({ usages: ['client'] });
  });

  async function serve(test: TestContext, leaf = serving): Promise<number> {
    const options = { requestCert: true, rejectUnauthorized: false, ca: authority.rootsPem };
    return serveTls(
      test,
      leaf,
      (request, response) => {
        const { authorized } = request.socket as TLSSocket; // the server is an https server
        response.writeHead(authorized || request.url === '/healthz' ? 200 : 401).end();
      },
      options,
    );
  }

  /** The handshake check of verifyOld, with no patience left after the first attempt. */
  async function handshake(detected: Detected, served: Awaited<ReturnType<typeof servedBefore>>, asker: Probe = probe) {
    const clock = new FakeClock();
    const run = async () => ({
      code: 0,
      stdout: 'ActiveState=active\nMainPID=1\nInvocationID=a\nNRestarts=0\n',
      stderr: '',
    });
    const deps = { clock, run, layout: layoutBelow('/nowhere'), probe: asker };
    let ended = false;
    const running = verifyOld(deps, { detected, served }, signal).finally(() => {
      ended = true;
    });
    while (!ended) {
      await new Promise((resolve) => setImmediate(resolve));
      if (clock.sleeping > 0) await clock.advance(200_000);
    }
    const [unit, outcome] = await running;
    return { unit, ...(outcome ?? assert.fail('there are two checks')) };
  }

  it('is a certificate that is made anew at each start, for a manager that was given none', async (test) => {
    const detected = detectedManager('kube-scheduler', { 'secure-port': String(await serve(test)) });
    const served = await servedBefore({ clock: systemClock, probe }, detected, signal);
    assert.equal(served, 'throwaway');
    const again = await serve(test, await (await testAuthority('self')).issue());
    const restarted = detectedManager('kube-scheduler', { 'secure-port': String(again) });
    const outcome = await handshake(restarted, served);
    assert.equal(outcome.result, 'passed', outcome.summary);
    const gone = async () => ({ kind: 'unreachable', detail: 'ECONNREFUSED' }) as const;
    assert.equal((await handshake(restarted, served, gone)).result, 'failed');
  });

  it('is exactly one certificate for a manager that was given it, or a folder for it', async (test) => {
    for (const flag of ['tls-cert-file', 'cert-dir']) {
      const of = (port: number) => detectedManager('kube-scheduler', { 'secure-port': String(port), [flag]: '/x' });
      const detected = of(await serve(test));
      const served = await servedBefore({ clock: systemClock, probe }, detected, signal);
      assert.ok(typeof served === 'object');
      assert.equal((await handshake(detected, served)).result, 'passed');
      assert.match(
        (await handshake(of(await serve(test, await authority.issue())), served)).summary,
        /other-certificate/,
      );
    }
  });

  describe('is back', () => {
    const shown = { serial: '1a', sha256: 'ab', notAfterMs: 0, issuer: '', tlsVersion: 'TLSv1.3' };
    const etcd = detectedEtcd({ 'listen-client-urls': 'https://127.0.0.1:2379', 'cert-file': '/old.crt' });
    const apiserver = detectedApiserver({ 'tls-cert-file': '/old.crt' });
    const answered = (status: number, body = ''): ProbeOutcome => ({ kind: 'answered', status, body, served: shown });
    const rows: { what: string; detected: Detected; outcome: ProbeOutcome; result: 'passed' | 'failed' }[] = [
      {
        what: 'an etcd that is healthy',
        detected: etcd,
        outcome: answered(200, '{"health":"true"}'),
        result: 'passed',
      },
      {
        what: 'an etcd that refuses us after it showed its old certificate',
        detected: etcd,
        outcome: { kind: 'refused', by: 'tls-alert', detail: 'bad certificate', served: shown },
        result: 'passed',
      },
      {
        what: 'no etcd that refuses us before it shows any',
        detected: etcd,
        outcome: { kind: 'refused', by: 'reset', detail: 'ECONNRESET', served: undefined },
        result: 'failed',
      },
      { what: 'an API server that is ready', detected: apiserver, outcome: answered(200, 'ok'), result: 'passed' },
      {
        what: 'an API server that answers nobody without a certificate',
        detected: apiserver,
        outcome: answered(401),
        result: 'passed',
      },
      {
        what: 'no API server that has not read its roles yet',
        detected: apiserver,
        outcome: answered(403),
        result: 'failed',
      },
      { what: 'no API server that is not ready', detected: apiserver, outcome: answered(500), result: 'failed' },
    ];
    for (const { what, detected, outcome, result } of rows) {
      it(what, async () => {
        assert.equal((await handshake(detected, { sha256: 'ab' }, async () => outcome)).result, result);
      });
    }
  });

  it('is to be believed, for what only calls', async (test) => {
    const text = kubeconfigText(await serve(test), authority.rootsPem, client);
    for (const detected of [detectedProxy('/proxy.conf', text), detectedAdmin({ admin: '/admin.conf' }, text)]) {
      const served = await servedBefore({ clock: systemClock, probe }, detected, signal);
      assert.equal(served, 'believed');
      const outcome = await handshake(detected, served);
      assert.equal(outcome.result, 'passed', outcome.summary);
      assert.equal(outcome.unit?.result, detected.component === 'admin' ? 'skipped' : 'passed');
      const refusing: Probe = async () => ({ kind: 'answered', status: 401, body: '', served: undefined });
      assert.equal((await handshake(detected, served, refusing)).result, 'failed');
    }
  });

  it('is nothing for callers that are not believed, that show no certificate, or whose kubeconfig is none', async (test) => {
    const port = await serve(test);
    const stranger = await (await testAuthority('kubernetes')).issue();
    for (const text of [
      kubeconfigText(port, authority.rootsPem, stranger),
      kubeconfigText(port, authority.rootsPem),
      'a: [',
    ]) {
      assert.equal(await servedBefore({ clock: systemClock, probe }, detectedProxy('/x', text), signal), 'nothing');
    }
  });
});
