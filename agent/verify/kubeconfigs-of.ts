/** The kubeconfigs by which a component calls an API server. */
import type { Detected, SourceFile } from '../detect/detected.ts';

/** A kubeconfig of a component. */
export interface OwnKubeconfig {
  file: SourceFile;
  /** Slot of the client certificate that it names once the component is ours. */
  slot: string;
}

/** All of them; none for components that call no API server. */
export function kubeconfigsOf(detected: Detected): OwnKubeconfig[] {
  switch (detected.component) {
    case 'etcd':
    case 'kube-apiserver':
      return [];
    case 'kube-controller-manager':
    case 'kube-scheduler':
      return detected.kubeconfigs.map((file) => ({ file, slot: 'client' }));
    case 'kubelet':
    case 'kube-proxy':
      return [{ file: detected.kubeconfig, slot: 'client' }];
    case 'admin':
      return detected.kubeconfigs.map(({ profile, file }) => {
        return { file, slot: profile === 'admin-client' ? 'admin' : 'super-admin' };
      });
  }
}
