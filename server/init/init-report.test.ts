import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { initReport } from './init-report.ts';
import type { InitResult } from './init-result.ts';

const nowMs = Date.UTC(2026, 0, 1);
const inDays = (days: number) => new Date(nowMs + days * 86_400_000);
const result: InitResult = {
  already: false,
  cluster: 'lab',
  pin: `sha256:${'ab'.repeat(32)}`,
  bootstrapEndpoint: '10.0.0.1:9443',
  advertiseWhy: undefined,
  authorities: [
    { authority: 'fleet', subject: 'CN=kube-mtls fleet CA lab', notAfter: inDays(3650), imported: false },
    { authority: 'kubernetes', subject: 'CN=kubernetes', notAfter: inDays(365), imported: false },
  ],
  moving: [],
  looseKeys: [],
  configFile: '/etc/kube-mtls/server.yaml',
  stateFolder: '/var/lib/kube-mtls-server',
  passphraseFile: '/etc/kube-mtls/ca-passphrase',
  adminFolder: '/etc/kube-mtls/admin',
  notes: [],
  nowMs,
};
const [fleet, kubernetes] = result.authorities;

describe('initReport', () => {
  it('shows the pin, the CAs, the files and what to do next', () => {
    const text = initReport(result);
    for (const part of [
      'initialised for the cluster lab.',
      `CA pin of the fleet:  sha256:${'ab'.repeat(32)}`,
      '  fleet        made      until 2035-12-30  CN=kube-mtls fleet CA lab',
      '/etc/kube-mtls/ca-passphrase',
      '/etc/kube-mtls/admin/{ca.crt,admin.crt,admin.key}',
      'systemctl enable --now kube-mtls-server',
      'kube-mtls token create --role control-plane --node NAME --print-join',
      'join at 10.0.0.1:9443.',
    ]) {
      assert.ok(text.includes(part), part);
    }
    assert.doesNotMatch(text, /note:|before;/);
  });

  it('says that the server was initialised before', () => {
    const text = initReport({ ...result, already: true });
    assert.match(text, /was initialised for the cluster lab before; nothing of it was overwritten\./);
    assert.ok(text.includes(result.pin));
  });

  it('says why a host is advertised that nobody named', () => {
    assert.match(
      initReport({ ...result, advertiseWhy: 'the first address of this machine' }),
      /join at 10\.0\.0\.1:9443, the first address of this machine\./,
    );
  });

  it('warns of keys that lie unencrypted in the adopted folder, CAs that end within a year, and passes notes on', () => {
    assert.ok(fleet !== undefined && kubernetes !== undefined);
    const text = initReport({
      ...result,
      looseKeys: [{ authority: 'kubernetes', path: '/etc/kubernetes/pki/ca.key' }],
      authorities: [fleet, { ...kubernetes, imported: true, notAfter: inDays(364) }],
      notes: ['something was found'],
    });
    assert.match(text, / {2}- something was found\n/);
    assert.match(
      text,
      /kubernetes CA lies unencrypted in \/etc\/kubernetes\/pki\/ca\.key still; .*kube-controller-manager/,
    );
    assert.match(text, /the kubernetes CA ends 2026-12-31/);
    assert.match(text, /kubernetes {3}imported {2}until/);
    assert.equal(text.match(/^ {2}- /gm)?.length, 3);
  });
});
