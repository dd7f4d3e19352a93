import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  detectedApiserver,
  detectedEtcd,
  detectedKubelet,
  detectedManager,
  detectedProxy,
} from '../verify/detected-for-tests.ts';
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
      'metrics at a unix socket are told',
      { 'listen-metrics-urls': 'unix:///run/m.sock,unixs:///run/n.sock' },
      ['--listen-metrics-urls=unix:///run/m.sock'],
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

  it('a port is told that nobody knows to be gone, since the version is not known', () => {
    const unknown = { version: '' };
    assert.match(openListeners({ ...detectedApiserver({}), ...unknown })[0] ?? '', /^--insecure-port=8080 may be open/);
    assert.deepEqual(told({ ...detectedApiserver({ 'insecure-port': '8081' }), ...unknown }), ['--insecure-port=8081']);
    assert.deepEqual(told({ ...detectedManager('kube-scheduler', { port: '0' }), ...unknown }), []);
  });

  it("cAdvisor's port of an old kubelet is told", () => {
    const closed = { 'read-only-port': '0' };
    const kubelet = (flags: Record<string, string>, version: string) => ({ ...detectedKubelet({ flags }), version });
    assert.deepEqual(told(kubelet(closed, '1.11.3')), ['--cadvisor-port=4194']);
    assert.deepEqual(told(kubelet({ ...closed, 'cadvisor-port': '0' }, '1.11.3')), []);
    assert.deepEqual(told(kubelet(closed, '1.12.0')), []);
    assert.deepEqual(told(kubelet(closed, '')), []);
  });

  it("a kubelet's health check is told where it is not at loopback", () => {
    const of = (config: string) => told(detectedKubelet({ config }));
    assert.deepEqual(of('healthzBindAddress: 127.0.0.1\n'), []);
    assert.deepEqual(of('healthzBindAddress: 0.0.0.0\n'), ['--healthz-bind-address=0.0.0.0:10248']);
    assert.deepEqual(of('healthzBindAddress: 0.0.0.0\nhealthzPort: 0\n'), []);
  });
});

const fileOf = (text: string) => ({ path: '/c.yaml', text, mode: 0o600, uid: 0, gid: 0 });

describe('of a scheduler with a configuration file, where --port counts for nothing (kubernetes#109900)', () => {
  const rows: [what: string, version: string, config: string, told: string[]][] = [
    ['the default is told', '1.21.5', '', ['healthzBindAddress=0.0.0.0:10251', 'metricsBindAddress=0.0.0.0:10251']],
    [
      'what it names is told',
      '1.21.5',
      'healthzBindAddress: 127.0.0.1:10251\nmetricsBindAddress: 10.0.0.1:9000\n',
      ['healthzBindAddress=127.0.0.1:10251', 'metricsBindAddress=10.0.0.1:9000'],
    ],
    [
      'an empty address is the default',
      '1.21.5',
      'healthzBindAddress: ""\n',
      ['healthzBindAddress=0.0.0.0:10251', 'metricsBindAddress=0.0.0.0:10251'],
    ],
    ['nothing is told of one that has no such port', '1.23.0', '', []],
  ];
  for (const [what, version, config, want] of rows) {
    it(what, () => {
      const scheduler = { ...detectedManager('kube-scheduler', { port: '0' }), version, config: fileOf(config) };
      assert.deepEqual(told(scheduler), want);
    });
  }
});

describe('of a kube-proxy', () => {
  const proxy = (flags: Record<string, string>, config?: string) => ({
    ...detectedProxy('/k.conf'),
    effectiveFlags: new Map(Object.entries(flags).map(([name, value]) => [name, [value]] as const)),
    ...(config === undefined ? {} : { config: fileOf(config) }),
  });
  const both = ['--metrics-bind-address=127.0.0.1:10249', '--healthz-bind-address=0.0.0.0:10256'];
  const rows: [what: string, flags: Record<string, string>, config: string | undefined, told: string[]][] = [
    ['the defaults are told', {}, undefined, both],
    [
      'flags are told',
      { 'metrics-bind-address': '0.0.0.0:1' },
      undefined,
      ['--metrics-bind-address=0.0.0.0:1', both[1] ?? ''],
    ],
    ['empty flags open nothing', { 'metrics-bind-address': '', 'healthz-bind-address': '' }, undefined, []],
    ['old ports of 0 open nothing', { 'metrics-port': '0', 'healthz-port': '0' }, undefined, []],
    [
      'with a configuration file flags count for nothing',
      { 'metrics-bind-address': '' },
      '',
      ['metricsBindAddress=127.0.0.1:10249', 'healthzBindAddress=0.0.0.0:10256'],
    ],
    [
      'what the file names is told',
      {},
      'metricsBindAddress: 0.0.0.0:10249\n',
      ['metricsBindAddress=0.0.0.0:10249', 'healthzBindAddress=0.0.0.0:10256'],
    ],
  ];
  for (const [what, flags, config, want] of rows) it(what, () => assert.deepEqual(told(proxy(flags, config)), want));
});
