import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { type Component, type ComponentState, componentStates, components } from '../../common/names/names.ts';
import { EtcdStep, KubeletVerification } from '../../proto/gen/kubemtls/v1/agent_pb.js';
import { ComponentStatusSchema, NodeRole } from '../../proto/gen/kubemtls/v1/types_pb.js';
import type { FleetComponent } from '../fleet/fleet-state.ts';
import { computeSettings, etcdStepOf, type SettingsInput } from './settings.ts';

interface Member {
  prepared?: boolean;
  enforced?: boolean;
  online?: boolean;
  cluster?: string;
  members?: number;
  component?: Component;
}

describe('etcd step', () => {
  const prepared = { prepared: true };
  const rows: [string, Record<string, Member>, EtcdStep][] = [
    ['a cluster of one goes all the way', { a: { members: 1 } }, EtcdStep.ENFORCE],
    ['three that are new prepare', { a: {}, b: {}, c: {} }, EtcdStep.PREPARE],
    ['two of three prepared wait for the third', { a: prepared, b: prepared, c: {} }, EtcdStep.PREPARE],
    ['three prepared go on', { a: prepared, b: prepared, c: prepared }, EtcdStep.ENFORCE],
    ['a member without an agent holds all back', { a: prepared, b: prepared }, EtcdStep.PREPARE],
    [
      'a member that is not heard of holds all back',
      { a: prepared, b: prepared, c: { prepared: true, online: false } },
      EtcdStep.PREPARE,
    ],
    [
      'once one is through there is no way back',
      { a: { prepared: true, enforced: true }, b: prepared, c: { prepared: true, online: false } },
      EtcdStep.ENFORCE,
    ],
    [
      'the members of another cluster do not count',
      { a: prepared, b: prepared, c: { prepared: true, cluster: 'other' } },
      EtcdStep.PREPARE,
    ],
    [
      'another cluster that is through does not count',
      { a: {}, b: { cluster: 'other', enforced: true } },
      EtcdStep.PREPARE,
    ],
    [
      'members that disagree about their number hold all back',
      { a: prepared, b: prepared, c: { prepared: true, members: 4 } },
      EtcdStep.PREPARE,
    ],
    ['an unknown cluster is not touched', { a: { cluster: '' } }, EtcdStep.UNSPECIFIED],
    ['a node without etcd has no step', { b: {} }, EtcdStep.UNSPECIFIED],
    [
      'a kubelet that claims to be an enforced etcd is not believed',
      { a: {}, w: { enforced: true, component: 'kubelet' } },
      EtcdStep.PREPARE,
    ],
  ];
  for (const [what, members, step] of rows) {
    it(what, () => assert.equal(EtcdStep[etcdStepOf('a', fleet(members))], EtcdStep[step]));
  }
});

describe('settings', () => {
  const cluster = { name: 'c', apiEndpoint: 'api:6443', serviceAddress: '10.96.0.1', dnsDomain: 'cluster.local' };
  const input: SettingsInput = {
    config: { heartbeatMs: 10_000, cluster },
    node: { name: 'w1', role: 'worker', addresses: ['10.0.0.2'] },
    etcd: [],
    rollout: { paused: true, reason: 'x', node: '', pausedAtMs: 0, retryGeneration: 3, leftOut: [] },
    kubeletVerification: KubeletVerification.WITH_RESTART,
    trust: { generation: 7n, issuesEtcdLeaves: true, kubeletsCanComeFirst: true },
  };

  it('say what the node is, what the cluster is and how the rollout stands', () => {
    const settings = computeSettings(input);
    assert.equal(settings.trustGeneration, 7n);
    assert.equal(settings.role, NodeRole.WORKER);
    assert.equal(settings.cluster?.apiEndpoint, 'api:6443');
    assert.deepEqual(
      [settings.rolloutPaused, settings.retryGeneration, settings.kubeletVerification],
      [true, 3n, KubeletVerification.WITH_RESTART],
    );
    assert.deepEqual(settings.heartbeatInterval?.seconds, 10n);
  });

  it('say that the rollout is paused to a node that is left out of it, and to no other', () => {
    const rollout = { ...input.rollout, paused: false, leftOut: ['w1'] };
    assert.equal(computeSettings({ ...input, rollout }).rolloutPaused, true);
    const node = { ...input.node, name: 'w2' };
    assert.equal(computeSettings({ ...input, node, rollout }).rolloutPaused, false);
  });
});

describe('an etcd whose CA is not ours yet', () => {
  const settings = (member: Member, issuesEtcdLeaves: boolean) =>
    computeSettings({
      config: {
        heartbeatMs: 10_000,
        cluster: { name: 'c', apiEndpoint: 'api:6443', serviceAddress: '10.96.0.1', dnsDomain: 'cluster.local' },
      },
      node: { name: 'a', role: 'control-plane', addresses: ['10.0.0.2'] },
      etcd: fleet({ a: member }),
      rollout: { paused: false, reason: '', node: '', pausedAtMs: 0, retryGeneration: 0, leftOut: [] },
      kubeletVerification: KubeletVerification.UNSPECIFIED,
      trust: { generation: 1n, issuesEtcdLeaves, kubeletsCanComeFirst: false },
    }).etcdStep;

  it('goes no further than to trust, since there is no leaf to serve', () => {
    assert.equal(settings({ members: 1 }, false), EtcdStep.PREPARE);
    assert.equal(settings({ members: 1 }, true), EtcdStep.ENFORCE);
    assert.equal(settings({ cluster: '' }, false), EtcdStep.UNSPECIFIED);
  });
});

function fleet(members: Record<string, Member>): FleetComponent[] {
  return Object.entries(members).map(([node, member]) => {
    const names = Array.from({ length: member.members ?? 3 }, (_, at) => `m${at}`);
    const { prepared = false, enforced = false, cluster = 'abc' } = member;
    const etcd = { clusterId: cluster, members: names, prepared, enforced };
    const made = row(node, member.component ?? 'etcd', 'verified', member.online);
    return { ...made, status: create(ComponentStatusSchema, { etcd }) };
  });
}

function row(node: string, component: Component, state: ComponentState, online = true): FleetComponent {
  const numbers = { component: components.toNumber(component), state: componentStates.toNumber(state) };
  return { node, component, state, online, status: create(ComponentStatusSchema, numbers) };
}
