import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Component } from '../../common/names/names.ts';
import { sampleNode } from '../store/store-contract.ts';
import { resolveHere, sharedEndpoints } from './shared-endpoints.ts';

const nodes = [
  sampleNode({ name: 'cp1', addresses: ['10.0.0.1', '10.0.0.100'] }),
  sampleNode({ name: 'cp2', addresses: ['10.0.0.2', 'fd00::2'] }),
  sampleNode({ name: 'gone', addresses: ['10.0.0.1'], revoked: true }),
];

describe('sharedEndpoints', () => {
  const rows: [what: string, component: Component, apiEndpoint: string, endpoints: string[], shared: string[]][] = [
    ['the endpoint of the cluster', 'kube-apiserver', 'lb:6443', ['10.0.0.1:6443', 'lb:6443'], ['lb:6443']],
    [
      'a virtual address, at whatever port and while this node holds it',
      'kube-apiserver',
      '10.0.0.100:443',
      ['10.0.0.1:6443', '10.0.0.100:6443'],
      ['10.0.0.100:6443'],
    ],
    [
      'each address of its name',
      'kube-apiserver',
      'vip:6443',
      ['10.0.0.1:6443', '[fd00::100]:6443'],
      ['[fd00::100]:6443'],
    ],
    [
      'an address that another node has too',
      'kubelet',
      'lb:6443',
      ['10.0.0.2:10250', '10.0.0.1:10250'],
      ['10.0.0.2:10250'],
    ],
    ['the name of another node', 'etcd', 'lb:6443', ['cp2:2379', 'cp1:2379'], ['cp2:2379']],
    ['nothing but that of an etcd', 'etcd', '10.0.0.1:6443', ['10.0.0.1:2379'], []],
  ];
  for (const [what, component, apiEndpoint, endpoints, shared] of rows) {
    it(`holds ${what}`, async () => {
      const resolve = async (name: string) => (name === 'vip' ? ['10.0.0.100', 'FD00:0::100'] : []);
      assert.deepEqual(await sharedEndpoints('cp1', component, endpoints, { apiEndpoint, nodes, resolve }), shared);
    });
  }
});

describe('resolveHere', () => {
  it('knows the names of this host, and nothing of a name that nobody has', async () => {
    assert.ok((await resolveHere('localhost')).some((address) => address === '127.0.0.1' || address === '::1'));
    assert.deepEqual(await resolveHere('nobody.invalid'), []);
  });
});
