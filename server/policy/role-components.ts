/** Which components count on a node of a role, derived from who may have their certificates. */
import type { Component, Profile, Role } from '../../common/names/names.ts';
import { profileRules } from './profiles.ts';

/** The certificate by which a change of a component is known again: what it serves, or what it shows where it serves nothing. */
export const tellingProfiles: Readonly<Record<Component, readonly Profile[]>> = {
  etcd: ['etcd-server'],
  'kube-apiserver': ['kube-apiserver-serving'],
  kubelet: ['kubelet-serving'],
  'kube-controller-manager': ['kube-controller-manager-client'],
  'kube-scheduler': ['kube-scheduler-client'],
  'kube-proxy': ['kube-proxy-client'],
  admin: ['admin-client', 'super-admin-client'],
};

/** True when a node of the role may run the component; what it reports beyond that is kept and shown, but decides nothing. */
export function roleRuns(role: Role, component: Component): boolean {
  return tellingProfiles[component].some((profile) => profileRules[profile].roles.includes(role));
}
