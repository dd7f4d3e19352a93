import assert from 'node:assert/strict';
import { before, describe, it, type TestContext } from 'node:test';
import { FakeClock } from '../../common/time/fake-clock.ts';
import { detectedEtcd } from './detected-for-tests.ts';
import { etcdHandshake } from './etcd-handshake.ts';
import { folderOf, type TestAuthority, type TestLeaf, testAuthority } from './pki-for-tests.ts';
import type { Probe, ProbeOutcome } from './probe.ts';

const detected = detectedEtcd({
  'listen-client-urls': 'https://10.0.0.1:2379',
  'listen-peer-urls': 'https://10.0.0.1:2380',
});
const served = { serial: '5e1', sha256: '', notAfterMs: 0, issuer: 'CN=etcd-ca', tlsVersion: 'TLSv1.3' };
const refused: ProbeOutcome = { kind: 'refused', by: 'tls-alert', detail: 'certificate required', served };
const hungUp: ProbeOutcome = { kind: 'refused', by: 'reset', detail: 'ECONNRESET', served: undefined };

/** A member that enforces TLS; what it says to callers without a certificate, over TLS and over plaintext, differs. */
describe('etcdHandshake of a member that enforces TLS', () => {
  let authority: TestAuthority;
  let leaf: TestLeaf;
  before(async () => {
    authority = await testAuthority('etcd-ca');
    leaf = await authority.issue();
  });

  async function check(test: TestContext, says: { client?: ProbeOutcome; peer?: ProbeOutcome; plain?: ProbeOutcome }) {
    const probe: Probe = async ({ port, path, tls }) => {
      if (tls === undefined) return says.plain ?? hungUp;
      if (tls.client === undefined) return (port === 2379 ? says.client : says.peer) ?? refused;
      return {
        kind: 'answered',
        status: 200,
        body: path === '/health' ? '{"health":"true"}' : '{"etcdserver":"3.4.23"}',
        served,
      };
    };
    const expectation = {
      detected,
      folder: await folderOf(test, { 'healthcheck-client': leaf, peer: leaf }),
      serials: new Map([
        ['server', '5e1'],
        ['peer', '5e1'],
      ]),
      target: 'enforced' as const,
      live: false,
      rootsPem: new Map([['etcd' as const, authority.rootsPem]]),
    };
    return etcdHandshake({ clock: new FakeClock(), probe }, expectation, new AbortController().signal);
  }

  it('passes when both listeners refuse who has no certificate, and plaintext', async (test) => {
    const outcome = await check(test, {});
    assert.equal(outcome.result, 'passed', outcome.summary);
  });

  it('passes when its port answers plaintext otherwise than etcd does', async (test) => {
    const plain: ProbeOutcome = { kind: 'answered', status: 400, body: 'HTTPS please', served: undefined };
    assert.equal((await check(test, { plain })).result, 'passed');
  });

  it('fails when it still answers in plaintext too', async (test) => {
    const plain: ProbeOutcome = { kind: 'answered', status: 200, body: '{"health":"true"}', served: undefined };
    const outcome = await check(test, { plain });
    assert.equal(outcome.result, 'failed');
    assert.match(outcome.summary, /plaintext: etcd still answered 200 over plaintext/);
  });

  it('fails when one of its listeners answers who has no certificate', async (test) => {
    const open: ProbeOutcome = { kind: 'answered', status: 200, body: '{"health":"true"}', served };
    assert.match((await check(test, { client: open })).summary, /10\.0\.0\.1:2379, without certificate: answered 200/);
    assert.match((await check(test, { peer: open })).summary, /10\.0\.0\.1:2380, without certificate: answered 200/);
  });
});
