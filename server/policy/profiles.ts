/** The table of profiles: what each certificate is, and which nodes may have it. Source: Kubernetes documentation, "PKI certificates and requirements". */
import type { Profile, Role } from '../../common/names/names.ts';
import type { Usage } from '../../common/x509/extensions.ts';
import type { ClusterAuthority } from '../authority/import-authority.ts';
import type { ServerConfig } from '../config/server-config.ts';

/** Which names a certificate carries; see allowed-names.ts. */
export type NameRule = 'none' | 'kube-apiserver' | 'etcd' | 'kubelet' | 'local';

/** A row. */
export interface ProfileRule {
  authority: ClusterAuthority;
  roles: readonly Role[];
  usages: readonly Usage[];
  names: NameRule;
  commonName: (node: string) => string;
  organizations: (config: ServerConfig) => string[];
}

const controlPlane: readonly Role[] = ['control-plane'];
const kubelets: readonly Role[] = ['control-plane', 'worker'];
const members: readonly Role[] = ['control-plane', 'etcd'];
/** etcd members are servers and clients with the same certificate (etcd-io/etcd#9785). */
const both: readonly Usage[] = ['server', 'client'];
const systemNode = (node: string) => `system:node:${node}`;
const none = () => [];

/** What a profile fixes. Nothing of it comes from a request. */
export const profileRules: Readonly<Record<Profile, ProfileRule>> = {
  'kube-apiserver-serving': {
    authority: 'kubernetes',
    roles: controlPlane,
    usages: ['server'],
    names: 'kube-apiserver',
    commonName: () => 'kube-apiserver',
    organizations: none,
  },
  'kube-apiserver-kubelet-client': {
    authority: 'kubernetes',
    roles: controlPlane,
    usages: ['client'],
    names: 'none',
    commonName: () => 'kube-apiserver-kubelet-client',
    organizations: ({ apiServer }) =>
      apiServer.kubeletClientOrganization === 'none' ? [] : [apiServer.kubeletClientOrganization],
  },
  'kube-apiserver-etcd-client': {
    authority: 'etcd',
    roles: controlPlane,
    usages: ['client'],
    names: 'none',
    commonName: () => 'kube-apiserver-etcd-client',
    organizations: none,
  },
  'front-proxy-client': {
    authority: 'front-proxy',
    roles: controlPlane,
    usages: ['client'],
    names: 'none',
    commonName: () => 'front-proxy-client',
    organizations: none,
  },
  'etcd-server': {
    authority: 'etcd',
    roles: members,
    usages: both,
    names: 'etcd',
    commonName: (node) => node,
    organizations: none,
  },
  'etcd-peer': {
    authority: 'etcd',
    roles: members,
    usages: both,
    names: 'etcd',
    commonName: (node) => node,
    organizations: none,
  },
  'etcd-healthcheck-client': {
    authority: 'etcd',
    roles: members,
    usages: ['client'],
    names: 'none',
    commonName: () => 'kube-etcd-healthcheck-client',
    organizations: none,
  },
  'kubelet-serving': {
    authority: 'kubernetes',
    roles: kubelets,
    usages: ['server'],
    names: 'kubelet',
    commonName: systemNode,
    organizations: () => ['system:nodes'],
  },
  'kubelet-client': {
    authority: 'kubernetes',
    roles: kubelets,
    usages: ['client'],
    names: 'none', // a name makes Kubernetes' own signer refuse, so nothing may rely on one
    commonName: systemNode,
    organizations: () => ['system:nodes'],
  },
  'probe-client': {
    authority: 'kubernetes',
    roles: kubelets,
    usages: ['client'],
    names: 'none',
    commonName: (node) => `kube-mtls:probe:${node}`,
    organizations: none, // no group, so that RBAC gives it nothing
  },
  'kube-controller-manager-serving': serving('kube-controller-manager'),
  'kube-controller-manager-client': client(controlPlane, 'system:kube-controller-manager', none),
  'kube-scheduler-serving': serving('kube-scheduler'),
  'kube-scheduler-client': client(controlPlane, 'system:kube-scheduler', none),
  // RBAC binds the user (ClusterRoleBinding system:node-proxier)
  'kube-proxy-client': client(kubelets, 'system:kube-proxy', none),
  'admin-client': client(controlPlane, 'kubernetes-admin', ({ apiServer }) => [apiServer.adminOrganization]),
  // the way back in when RBAC itself is broken, so no binding may be needed for it
  'super-admin-client': client(controlPlane, 'kubernetes-super-admin', () => ['system:masters']),
};

/** What a manager serves its metrics with; it is called on its own node and by monitoring. */
function serving(commonName: string): ProfileRule {
  return {
    ...{ authority: 'kubernetes', roles: controlPlane, usages: ['server'], names: 'local' },
    ...{ commonName: () => commonName, organizations: none },
  };
}

/** A caller of the API server. */
function client(roles: readonly Role[], user: string, organizations: ProfileRule['organizations']): ProfileRule {
  return {
    ...{ authority: 'kubernetes', roles, usages: ['client'], names: 'none' },
    ...{ commonName: () => user, organizations },
  };
}
