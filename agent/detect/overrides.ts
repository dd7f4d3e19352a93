/** What an operator says in agent.yaml about a node whose names and paths differ from the usual ones. */
import type { Component } from '../../common/names/names.ts';

/** How one component is found. */
export interface ComponentOverride {
  /** Its systemd unit; default COMPONENT.service. A static pod of the component is then passed over. */
  unit?: string | undefined;
  /** Absolute path of its static pod's manifest. A unit of the component is then passed over. */
  manifest?: string | undefined;
  /** False leaves the component alone: its certificates are listed, nothing of it is planned. Default true. */
  manage?: boolean | undefined;
}

/** A kubeconfig of an administrator and whose certificate stands in it. */
export interface AdminKubeconfig {
  /** Absolute. */
  path: string;
  profile: 'admin-client' | 'super-admin-client';
}

/** Overrides of detection; whatever is missing is found by itself. */
export interface DetectOverrides {
  components?: Readonly<Partial<Record<Component, ComponentOverride | undefined>>> | undefined;
  /** Absolute path of the folder of static pods; '' or none is the one that kubelet reads. */
  manifestsFolder?: string | undefined;
  /** Default: {@link kubeadmAdminKubeconfigs}. Those that do not exist are passed over. */
  adminKubeconfigs?: readonly AdminKubeconfig[] | undefined;
}

/** Where kubeadm puts them. */
export const kubeadmAdminKubeconfigs: readonly AdminKubeconfig[] = [
  { path: '/etc/kubernetes/admin.conf', profile: 'admin-client' },
  { path: '/etc/kubernetes/super-admin.conf', profile: 'super-admin-client' },
];
