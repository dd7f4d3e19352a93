/** What the server tells a node about itself and its cluster, as far as a plan needs it. */
import type { Role } from '../../common/names/names.ts';

/** What the cluster is. */
export interface ClusterSettings {
  /** Name of the cluster, also the trust domain. */
  name: string;
  /** HOST:PORT at which clients reach the API server; an IPv6 host stands in brackets. */
  apiEndpoint: string;
  /** First address of the service CIDR, "10.96.0.1". */
  serviceAddress: string;
  /** DNS domain of services, "cluster.local". */
  dnsDomain: string;
}

/**
 * Whether API servers verify kubelets: no: one that does not goes on so; await-kubelets: changes that restart API servers wait for the
 * nodes' kubelets; with-restart: with the next change that restarts it anyway; at-once: a reason to restart it.
 */
export type KubeletVerification = 'no' | 'await-kubelets' | 'with-restart' | 'at-once';

/** What the node is and how far it shall go. */
export interface NodeSettings {
  /** Name under which the node is enrolled; the Node object is called the same. */
  nodeName: string;
  role: Role;
  /** The node's addresses as the server recorded them. */
  addresses: string[];
  cluster: ClusterSettings;
  kubeletVerification: KubeletVerification;
  /** How far etcd goes; undefined while the server has not decided: etcd is left alone. */
  etcdStep: 'prepare' | 'enforce' | undefined;
}
