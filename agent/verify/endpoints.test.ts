import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { detectedApiserver, detectedEtcd, detectedKubelet, detectedManager } from './detected-for-tests.ts';
import {
  apiserverEndpoints,
  type Endpoint,
  endpointOfUrl,
  etcdClientEndpoints,
  etcdHttpEndpoints,
  etcdPeerEndpoints,
  hostPort,
  kubeletEndpoints,
  managerEndpoints,
  parseHostPort,
} from './endpoints.ts';

/** "https 127.0.0.1:6443 as 10.0.0.1". */
function text(endpoint: Endpoint): string {
  return `${endpoint.scheme} ${hostPort(endpoint)} as ${endpoint.name}`;
}

describe('etcdHttpEndpoints', () => {
  const http = { 'listen-client-http-urls': 'http://0.0.0.0:2382', 'advertise-client-urls': 'http://10.0.0.1:2379' };
  const rows: [what: string, settings: Record<string, string>, target: 'prepared' | 'enforced', want: string[]][] = [
    ['are those for clients', {}, 'prepared', ['http localhost:2379 as localhost']],
    ['are apart where etcd has them apart', http, 'prepared', ['http 127.0.0.1:2382 as 10.0.0.1']],
    ['are https once enforced', http, 'enforced', ['https 127.0.0.1:2382 as 10.0.0.1']],
  ];
  for (const [what, settings, target, want] of rows) {
    it(what, () => assert.deepEqual(etcdHttpEndpoints(detectedEtcd(settings).settings, target).map(text), want));
  }
});

describe('etcdClientEndpoints', () => {
  const cases: { what: string; settings: Record<string, string>; target: 'prepared' | 'enforced'; want: string[] }[] = [
    {
      what: 'the defaults of etcd, plaintext while prepared',
      settings: {},
      target: 'prepared',
      want: ['http localhost:2379 as localhost'],
    },
    {
      what: 'the same listener over TLS once enforced',
      settings: { 'listen-client-urls': 'http://127.0.0.1:2379' },
      target: 'enforced',
      want: ['https 127.0.0.1:2379 as 127.0.0.1'],
    },
    {
      what: 'every listener, with its scheme while prepared',
      settings: { 'listen-client-urls': 'https://10.0.0.1:2379, http://127.0.0.1:2379' },
      target: 'prepared',
      want: ['https 10.0.0.1:2379 as 10.0.0.1', 'http 127.0.0.1:2379 as 127.0.0.1'],
    },
    {
      what: 'all addresses by loopback, under every name that it is known by',
      settings: {
        'listen-client-urls': 'http://0.0.0.0:2379',
        'advertise-client-urls': 'http://10.0.0.1:2379,http://cp1:2379',
      },
      target: 'enforced',
      want: ['https 127.0.0.1:2379 as 10.0.0.1', 'https 127.0.0.1:2379 as cp1'],
    },
    {
      what: 'IPv6, and nothing for unix sockets',
      settings: { 'listen-client-urls': 'http://[::1]:2379,unix://etcd.sock' },
      target: 'enforced',
      want: ['https [::1]:2379 as ::1'],
    },
  ];
  for (const { what, settings, target, want } of cases) {
    it(`tells ${what}`, () => {
      assert.deepEqual(etcdClientEndpoints(detectedEtcd(settings).settings, target).map(text), want);
    });
  }

  it('has a sibling for peers', () => {
    const { settings } = detectedEtcd({ 'listen-peer-urls': 'http://10.0.0.1:2380' });
    assert.deepEqual(etcdPeerEndpoints(settings, 'enforced').map(text), ['https 10.0.0.1:2380 as 10.0.0.1']);
    assert.deepEqual(etcdPeerEndpoints(new Map(), 'prepared').map(text), ['http localhost:2380 as localhost']);
  });
});

describe('apiserverEndpoints', () => {
  const cases: { flags: Record<string, string>; want: string }[] = [
    { flags: {}, want: 'https 127.0.0.1:6443 as kubernetes' },
    { flags: { 'advertise-address': '10.0.0.1' }, want: 'https 127.0.0.1:6443 as 10.0.0.1' },
    { flags: { 'bind-address': '10.0.0.1', 'secure-port': '8443' }, want: 'https 10.0.0.1:8443 as 10.0.0.1' },
    { flags: { 'bind-address': '::', 'advertise-address': 'fd00::1' }, want: 'https 127.0.0.1:6443 as fd00::1' },
  ];
  for (const { flags, want } of cases) {
    it(`with ${JSON.stringify(flags)} is ${want}`, () => {
      assert.deepEqual(apiserverEndpoints(detectedApiserver(flags)).map(text), [want]);
    });
  }
});

describe('kubeletEndpoints', () => {
  const cases: { what: string; flags?: Record<string, string>; config?: string; want: string[] }[] = [
    { what: 'the defaults', want: ['https 127.0.0.1:10250 as w1'] },
    {
      what: 'port and address of the configuration',
      config: 'kind: KubeletConfiguration\naddress: 10.0.0.2\nport: 10251\n',
      want: ['https 10.0.0.2:10251 as w1'],
    },
    {
      what: 'flags before the configuration, and the address of the node',
      flags: { port: '10252', 'node-ip': '10.0.0.2' },
      config: 'port: 10251\n',
      want: ['https 127.0.0.1:10252 as w1', 'https 127.0.0.1:10252 as 10.0.0.2'],
    },
    { what: 'an empty configuration', config: '', want: ['https 127.0.0.1:10250 as w1'] },
  ];
  for (const { what, want, ...texts } of cases) {
    it(`takes ${what}`, () => assert.deepEqual(kubeletEndpoints(detectedKubelet(texts)).map(text), want));
  }
});

describe('kubeletEndpoints of a kubelet with drop-ins', () => {
  it('takes what the last of them says, in the order of their names', () => {
    const file = (path: string, text: string) => ({ path, text, mode: 0o600, uid: 0, gid: 0 });
    const detected = {
      ...detectedKubelet({ config: 'port: 1\naddress: 10.0.0.1' }),
      configDropIns: [file('/d/10-a.conf', 'port: 2'), file('/d/90-z.conf', 'port: 4')],
      configDropIn: file('/d/50-kube-mtls.conf', 'port: 3'),
    };
    assert.deepEqual(kubeletEndpoints(detected).map(text), ['https 10.0.0.1:4 as w1']);
  });
});

describe('managerEndpoints', () => {
  const cases: { flags: Record<string, string>; want: string[] }[] = [
    { flags: {}, want: ['https 127.0.0.1:10257 as 127.0.0.1'] },
    { flags: { 'bind-address': '::' }, want: ['https 127.0.0.1:10257 as 127.0.0.1'] },
    { flags: { 'bind-address': '10.0.0.1', 'secure-port': '1' }, want: ['https 10.0.0.1:1 as 10.0.0.1'] },
    { flags: { 'secure-port': '0' }, want: [] },
  ];
  for (const { flags, want } of cases) {
    it(`of ${JSON.stringify(flags)} is ${want.join() || 'none'}`, () => {
      assert.deepEqual(managerEndpoints(detectedManager('kube-controller-manager', flags)).map(text), want);
    });
  }

  it('knows the port of a scheduler', () => {
    assert.equal(managerEndpoints(detectedManager('kube-scheduler', {}))[0]?.port, 10259);
  });
});

describe('parseHostPort', () => {
  const cases: [string, { host: string; port: number } | undefined][] = [
    ['10.0.0.1:2379', { host: '10.0.0.1', port: 2379 }],
    ['[fd00::1]:2379', { host: 'fd00::1', port: 2379 }],
    ['fd00::1', { host: 'fd00::1', port: 1 }],
    ['cp1', { host: 'cp1', port: 1 }],
    ['', undefined],
    ['cp1:99999', undefined],
    ['user@cp1:1', undefined],
    ['cp1:1/path', undefined],
  ];
  for (const [given, want] of cases) {
    it(`of "${given}" is ${JSON.stringify(want)}`, () => assert.deepEqual(parseHostPort(given, 1), want));
  }
});

describe('endpointOfUrl', () => {
  it('knows http and https with their default ports, and nothing else', () => {
    assert.deepEqual(endpointOfUrl('https://cp1'), { scheme: 'https', host: 'cp1', port: 443, name: 'cp1' });
    assert.deepEqual(endpointOfUrl('http://[::1]'), { scheme: 'http', host: '::1', port: 80, name: '::1' });
    for (const other of ['unix:///etcd.sock', 'cp1:6443', '']) assert.equal(endpointOfUrl(other), undefined, other);
  });
});
