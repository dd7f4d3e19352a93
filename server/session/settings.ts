/** What a node shall do now, from what the whole fleet reports. */
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { durationFromMs } from '@bufbuild/protobuf/wkt';
import { type Role, roles } from '../../common/names/names.ts';
import { ClusterSettingsSchema, EtcdStep, type SettingsSchema } from '../../proto/gen/kubemtls/v1/agent_pb.js';
import type { FleetComponent } from '../fleet/fleet-state.ts';
import type { RolloutRecord } from '../store/store.ts';

/** What the configuration says. */
export interface SettingsConfig {
  heartbeatMs: number;
  cluster: { name: string; apiEndpoint: string; serviceAddress: string; dnsDomain: string };
}

/** All that settings are made from. */
export interface SettingsInput {
  config: SettingsConfig;
  node: { name: string; role: Role; addresses: string[] };
  /** The etcd members of the fleet. */
  etcd: readonly FleetComponent[];
  rollout: RolloutRecord;
  /** Whether API servers shall verify kubelets. */
  verifyKubelets: boolean;
}

/** Settings without generation and time, which change with every message. */
export function computeSettings(input: SettingsInput): MessageInitShape<typeof SettingsSchema> {
  const { config, node, rollout } = input;
  return {
    heartbeatInterval: durationFromMs(config.heartbeatMs),
    cluster: create(ClusterSettingsSchema, config.cluster),
    role: roles.toNumber(node.role),
    addresses: [...node.addresses],
    verifyKubelets: input.verifyKubelets,
    etcdStep: etcdStepOf(node.name, input.etcd),
    rolloutPaused: rollout.paused,
    retryGeneration: BigInt(rollout.retryGeneration),
  };
}

/** True when there are kubelets and each of them serves a certificate of ours, proved. */
export function allKubeletsVerified(components: readonly FleetComponent[]): boolean {
  const kubelets = components.filter((row) => row.component === 'kubelet');
  return kubelets.length > 0 && kubelets.every((row) => row.state === 'verified');
}

/**
 * How far the etcd of a node goes. A cluster of one has nobody to lose. In a larger one listeners change only once every
 * member can dial its peers over TLS and is heard of; after the first member did change, there is no way back.
 */
export function etcdStepOf(node: string, components: readonly FleetComponent[]): EtcdStep {
  const members = components.flatMap((row) => {
    const { etcd } = row.status;
    // Only an etcd speaks for an etcd: a kubelet's report may hold anything.
    return row.component === 'etcd' && etcd !== undefined ? [{ ...row, etcd }] : [];
  });
  const own = members.find((row) => row.node === node)?.etcd;
  if (own === undefined || own.clusterId === '') return EtcdStep.UNSPECIFIED;
  if (own.members.length === 1) return EtcdStep.ENFORCE;
  const cluster = members.filter((row) => row.etcd.clusterId === own.clusterId);
  if (cluster.some((row) => row.etcd.enforced)) return EtcdStep.ENFORCE;
  const complete = cluster.every((row) => row.etcd.members.length === cluster.length);
  return complete && cluster.every((row) => row.online && row.etcd.prepared) ? EtcdStep.ENFORCE : EtcdStep.PREPARE;
}
