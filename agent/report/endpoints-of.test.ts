import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { DetectedManager } from '../detect/detected.ts';
import { detectedApiserver, detectedEtcd, detectedKubelet } from '../verify/detected-for-tests.ts';
import { endpointsOf } from './endpoints-of.ts';

const addresses = ['10.0.0.1', 'fd00::1'];
const of = (detected: Parameters<typeof endpointsOf>[0], endpoint = 'api.example.com:6443') =>
  endpointsOf(detected, addresses, endpoint);

describe('endpointsOf', () => {
  it('tells both ports of an etcd at all addresses of the node, and loopback alone where it listens there alone', () => {
    const urls = { 'listen-client-urls': 'https://0.0.0.0:2379', 'listen-peer-urls': 'https://10.0.0.1:2380' };
    assert.deepEqual(of(detectedEtcd({ ...urls, 'listen-client-urls': 'http://127.0.0.1:2379' })), [
      '10.0.0.1:2380',
      '127.0.0.1:2379',
      '[fd00::1]:2380',
    ]);
    assert.ok(of(detectedEtcd({ ...urls, 'listen-client-urls': 'https://10.0.0.1:2379' })).includes('[fd00::1]:2379'));
  });

  it('tells the endpoint of the cluster for an API server only', () => {
    assert.deepEqual(of(detectedApiserver({ 'secure-port': '7443' })), [
      '10.0.0.1:7443',
      '127.0.0.1:7443',
      '[fd00::1]:7443',
      'api.example.com:6443',
    ]);
    assert.ok(!of(detectedApiserver({}), '').includes(''));
    assert.deepEqual(of(detectedKubelet({})), ['10.0.0.1:10250', '127.0.0.1:10250', '[fd00::1]:10250']);
  });

  it('knows where etcd listens on all addresses', () => {
    const found = of(
      detectedEtcd({ 'listen-client-urls': 'https://0.0.0.0:2379', 'listen-peer-urls': 'https://x:2380' }),
    );
    assert.ok(found.includes('10.0.0.1:2379'), found.join());
  });

  const managers: [flags: Record<string, string>, found: string[]][] = [
    [{}, ['10.0.0.1:10257', '127.0.0.1:10257', '[fd00::1]:10257']],
    [{ 'bind-address': '127.0.0.1' }, ['127.0.0.1:10257']],
    [{ 'bind-address': '0.0.0.0', 'secure-port': '7' }, ['10.0.0.1:7', '127.0.0.1:7', '[fd00::1]:7']],
    [{ 'secure-port': '0' }, []],
  ];
  for (const [flags, found] of managers) {
    it(`finds a controller manager with ${JSON.stringify(flags)} at ${found.join(' ') || 'no port'}`, () => {
      assert.deepEqual(of(detectedManager('kube-controller-manager', flags)), found);
    });
  }

  it('knows the port of a scheduler, and that others serve nothing', () => {
    assert.ok(of(detectedManager('kube-scheduler', {})).includes('127.0.0.1:10259'));
    const process = { kind: 'none', name: '', user: 'root', uid: 0, gid: 0, activeState: '' } as const;
    assert.deepEqual(of({ component: 'admin', process, version: '', kubeconfigs: [] }), []);
  });
});

function detectedManager(component: DetectedManager['component'], flags: Record<string, string>): DetectedManager {
  const map = new Map(Object.entries(flags).map(([name, value]) => [name, [value]] as const));
  return { ...detectedApiserver(flags), component, flags: map, effectiveFlags: map, kubeconfigs: [] };
}
