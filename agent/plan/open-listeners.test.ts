import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { detectedApiserver, detectedEtcd, detectedKubelet, detectedManager } from '../verify/detected-for-tests.ts';
import { openListeners } from './open-listeners.ts';

/** The setting of each listener that is told. */
const told = (detected: Parameters<typeof openListeners>[0]) =>
  openListeners(detected).map((note) => note.split(' stays: ')[0]);

describe('of an etcd', () => {
  const rows: [what: string, settings: Record<string, string>, told: string[]][] = [
    ['nothing is told that turns to https', { 'listen-client-http-urls': 'http://0.0.0.0:2382' }, []],
    ['metrics by TLS are not told', { 'listen-metrics-urls': 'https://127.0.0.1:2381' }, []],
    [
      'plain metrics are told',
      { 'listen-metrics-urls': 'HTTP://0.0.0.0:2381,https://10.0.0.1:2381' },
      ['--listen-metrics-urls=HTTP://0.0.0.0:2381'],
    ],
    [
      'unix sockets are told',
      { 'listen-client-urls': 'https://127.0.0.1:2379,unix:///run/etcd.sock' },
      ['--listen-client-urls=unix:///run/etcd.sock'],
    ],
  ];
  for (const [what, settings, want] of rows) it(what, () => assert.deepEqual(told(detectedEtcd(settings)), want));
});

describe('of the others', () => {
  const old = { version: '1.19.4' };
  it('the port without TLS is told while there is one', () => {
    assert.deepEqual(told({ ...detectedApiserver({}), ...old }), ['--insecure-port=8080']);
    assert.deepEqual(told({ ...detectedApiserver({ 'insecure-port': '0' }), ...old }), []);
    assert.deepEqual(told({ ...detectedApiserver({}), version: '1.20.2' }), []);
    assert.deepEqual(told({ ...detectedManager('kube-scheduler', {}), version: '1.22.0' }), ['--port=10251']);
    assert.deepEqual(told({ ...detectedManager('kube-controller-manager', {}), version: '1.22.0' }), []);
  });

  it("a kubelet's read-only port is told", () => {
    assert.deepEqual(told(detectedKubelet({ flags: { 'read-only-port': '10255' } })), ['--read-only-port=10255']);
    assert.deepEqual(told(detectedKubelet({ flags: { 'read-only-port': '0' } })), []);
  });
});
