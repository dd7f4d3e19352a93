import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { detectedEtcd } from '../verify/detected-for-tests.ts';
import { guardGateway } from './guard-gateway.ts';

const configFile = { path: '/etc/etcd.yaml', text: '', mode: 0o644, uid: 0, gid: 0 };
/** Nothing was ever heard of it. */
const silent = { etcdCluster: undefined, settings: { etcdStep: undefined } };
const etcdCluster = { clusterId: '1', memberId: '1', members: [] };

describe('guardGateway', () => {
  it('names the file of an etcd that tells nothing, where its gateway is off', () => {
    const etcd = { ...detectedEtcd({}), configFile };
    assert.deepEqual(
      guardGateway(etcd, silent).map(({ path }) => path),
      ['/etc/etcd.yaml'],
    );
  });

  it('has nothing against one that tells its members, has the gateway on, or is set up by flags, nor one that is only away', () => {
    assert.deepEqual(guardGateway({ ...detectedEtcd({}), configFile }, { ...silent, etcdCluster }), []);
    assert.deepEqual(
      guardGateway({ ...detectedEtcd({}), configFile }, { ...silent, settings: { etcdStep: 'enforce' } }),
      [],
    );
    const on = { ...detectedEtcd({ 'enable-grpc-gateway': 'true' }), configFile };
    assert.deepEqual(guardGateway(on, silent), []);
    assert.deepEqual(guardGateway(detectedEtcd({}), silent), []);
  });
});
