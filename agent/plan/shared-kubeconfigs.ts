/** Kubeconfigs that several components use: each would write its own certificate over the other's. */
import type { Component } from '../../common/names/names.ts';
import type { Detected, Problem, SourceFile } from '../detect/detected.ts';

/** A problem for each component that shares a kubeconfig with another. */
export function sharedKubeconfigs(components: readonly Detected[]): Problem[] {
  const users = new Map<string, Component[]>();
  for (const detected of components) {
    for (const { path } of kubeconfigsOf(detected)) users.set(path, [...(users.get(path) ?? []), detected.component]);
  }
  return [...users].flatMap(([path, names]) =>
    names.length < 2 ? [] : names.map((component) => ({ component, path, message: messageFor(component, names) })),
  );
}

function messageFor(component: Component, names: readonly Component[]): string {
  const others = names.filter((name) => name !== component).join(' and ');
  return `the kubeconfig is used by ${others} too, and only one certificate can be in it: give ${component} one of its own`;
}

function kubeconfigsOf(detected: Detected): SourceFile[] {
  switch (detected.component) {
    case 'etcd':
    case 'kube-apiserver':
      return [];
    case 'kube-controller-manager':
    case 'kube-scheduler':
      return [...detected.kubeconfigs];
    case 'kubelet':
    case 'kube-proxy':
      return [detected.kubeconfig];
    case 'admin':
      return detected.kubeconfigs.map(({ file }) => file);
  }
}
