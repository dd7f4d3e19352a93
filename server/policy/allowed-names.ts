/** The names of certificates: from the node's record and the configuration, never from a request. */
import { endpointHost, type Names, namesOf } from '../config/endpoints.ts';
import type { ServerConfig } from '../config/server-config.ts';
import type { NodeRecord } from '../store/store.ts';
import type { NameRule } from './profiles.ts';

/** What names depend on. */
export type NamedNode = Pick<NodeRecord, 'name' | 'addresses'>;

/** All names that a certificate under this rule carries, each kind sorted. */
export function allowedNames(rule: NameRule, node: NamedNode, config: ServerConfig): Names {
  const loopback = namesOf(['127.0.0.1']);
  switch (rule) {
    case 'none':
      return { dnsNames: [], ipAddresses: [] };
    case 'kube-apiserver':
      return union(ofNode(node), namesOf(serviceNames(config)), namesOf(['localhost']), loopback);
    case 'etcd':
      return union(ofNode(node), namesOf(['localhost', '::1', ...config.etcd.extraNames]), loopback);
    case 'kubelet':
      return union(ofNode(node), loopback);
    case 'local':
      return union(ofNode(node), namesOf(['localhost', '::1']), loopback);
  }
}

/** Where an operator allows more names, for the text of a refusal. */
export function whereToAllow(rule: NameRule, node: NamedNode): string {
  switch (rule) {
    case 'none':
      return 'client certificates carry no names: leave them out';
    case 'kube-apiserver':
      return 'add them to apiServer.extraNames in server.yaml of the CA server and restart it, if API servers are called so';
    case 'etcd':
      return 'add them to etcd.extraNames in server.yaml of the CA server and restart it, if members are called so';
    case 'kubelet':
    case 'local': {
      const own = [node.name, ...node.addresses].join(', ');
      return `it is called by its node's name and addresses (${own}): enrol the node again with a token made with --address, if they are wrong`;
    }
  }
}

/**
 * Names and addresses by which clients know API servers of the whole cluster. A certificate of the kubernetes CA with one of
 * them on any other machine could pose as the API server.
 */
export function serviceNames(config: ServerConfig): string[] {
  const { cluster, apiServer } = config;
  const service = [
    'kubernetes',
    'kubernetes.default',
    'kubernetes.default.svc',
    `kubernetes.default.svc.${cluster.dnsDomain}`,
  ];
  return [...service, endpointHost(cluster.apiEndpoint), cluster.serviceAddress, ...apiServer.extraNames];
}

function ofNode(node: NamedNode): Names {
  // a node may be called like an address; its name is a DNS name all the same
  return { dnsNames: [node.name], ipAddresses: node.addresses };
}

function union(...parts: Names[]): Names {
  const unique = (names: string[]) => [...new Set(names)].sort();
  return {
    dnsNames: unique(parts.flatMap((part) => part.dnsNames)),
    ipAddresses: unique(parts.flatMap((part) => part.ipAddresses)),
  };
}
