/** What a node shall do now, from what the whole fleet reports. */
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { durationFromMs } from '@bufbuild/protobuf/wkt';
import { type Role, roles } from '../../common/names/names.ts';
import {
  ClusterSettingsSchema,
  EtcdStep,
  type KubeletVerification,
  type SettingsSchema,
} from '../../proto/gen/kubemtls/v1/agent_pb.js';
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
  kubeletVerification: KubeletVerification;
  trust: TrustSettings;
}

/** What settings take from the change of roots. */
export interface TrustSettings {
  /** Rises when the roots or what signs changes. */
  generation: bigint;
  /** False while the CA in use for etcd is one whose key the server does not have. */
  issuesEtcdLeaves: boolean;
  /** See FleetOfKubelets. */
  kubeletsCanComeFirst: boolean;
}

/** Settings without generation and time, which change with every message. */
export function computeSettings(input: SettingsInput): MessageInitShape<typeof SettingsSchema> {
  const { config, node, rollout } = input;
  return {
    heartbeatInterval: durationFromMs(config.heartbeatMs),
    cluster: create(ClusterSettingsSchema, config.cluster),
    role: roles.toNumber(node.role),
    addresses: [...node.addresses],
    kubeletVerification: input.kubeletVerification,
    etcdStep: etcdStepFor(input),
    rolloutPaused: rollout.paused || rollout.leftOut.includes(node.name),
    retryGeneration: BigInt(rollout.retryGeneration),
    trustGeneration: input.trust.generation,
  };
}

/** Without leaves there is nothing to enforce: members that speak TLS already only learn to trust the new root. */
function etcdStepFor({ node, etcd, trust }: SettingsInput): EtcdStep {
  const step = etcdStepOf(node.name, etcd);
  return step === EtcdStep.ENFORCE && !trust.issuesEtcdLeaves ? EtcdStep.PREPARE : step;
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
