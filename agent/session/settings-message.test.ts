import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { EtcdStep, KubeletVerification, type Settings, SettingsSchema } from '../../proto/gen/kubemtls/v1/agent_pb.js';
import { NodeRole } from '../../proto/gen/kubemtls/v1/types_pb.js';
import { readSettings } from './settings-message.ts';

const cluster = { name: 'lab', apiEndpoint: '10.0.0.1:6443', serviceAddress: '10.96.0.1', dnsDomain: 'cluster.local' };
const complete = create(SettingsSchema, {
  generation: 7n,
  cluster,
  role: NodeRole.CONTROL_PLANE,
  addresses: ['10.0.0.1'],
  kubeletVerification: KubeletVerification.WITH_RESTART,
  etcdStep: EtcdStep.PREPARE,
  rolloutPaused: true,
  retryGeneration: 3n,
  trustGeneration: 4n,
});
const read = (fields: Partial<Settings> = {}) => readSettings({ ...complete, ...fields }, 'cp1');
const later = 99; // a number of a later version

describe('readSettings', () => {
  it('reads all of it, with ten seconds between heartbeats unless told otherwise', () => {
    assert.deepEqual(read(), {
      generation: 7,
      heartbeatMs: 10_000,
      node: {
        nodeName: 'cp1',
        role: 'control-plane',
        addresses: ['10.0.0.1'],
        cluster,
        kubeletVerification: 'with-restart',
        etcdStep: 'prepare',
      },
      rolloutPaused: true,
      retryGeneration: 3,
      trustGeneration: 4,
    });
  });

  it('leaves etcd alone for a step that it does not know', () => {
    assert.equal(read({ etcdStep: EtcdStep.UNSPECIFIED }).node.etcdStep, undefined);
    assert.equal(read({ etcdStep: later as EtcdStep }).node.etcdStep, undefined);
  });

  it('restarts no API server for a word about kubelets that it does not know', () => {
    assert.equal(
      read({ kubeletVerification: KubeletVerification.AWAIT_KUBELETS }).node.kubeletVerification,
      'await-kubelets',
    );
    assert.equal(read({ kubeletVerification: KubeletVerification.AT_ONCE }).node.kubeletVerification, 'at-once');
    assert.equal(read({ kubeletVerification: later as KubeletVerification }).node.kubeletVerification, 'no');
  });

  for (const [what, lacks] of Object.entries({
    role: { role: NodeRole.UNSPECIFIED },
    'a role it knows': { role: later as NodeRole },
  })) {
    it(`refuses settings without ${what}`, () => {
      assert.throws(() => read(lacks), { reason: 'invalid-request', message: /upgrade the agent or the server/ });
    });
  }

  it('refuses settings without cluster', () => {
    const message = create(SettingsSchema, { role: NodeRole.WORKER });
    assert.throws(() => readSettings(message, 'w1'), { reason: 'invalid-request' });
  });
});
