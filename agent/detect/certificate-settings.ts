/** Flags and settings that name certificates and keys, by component. */

/** Names of those that hold the path of a certificate or of a bundle; etcd's are settings, the others' flags. */
export const certificateSettings = {
  etcd: [
    'cert-file',
    'client-cert-file',
    'trusted-ca-file',
    'peer-cert-file',
    'peer-client-cert-file',
    'peer-trusted-ca-file',
  ],
  'kube-apiserver': [
    'tls-cert-file',
    'client-ca-file',
    'kubelet-client-certificate',
    'kubelet-certificate-authority',
    'etcd-cafile',
    'etcd-certfile',
    'proxy-client-cert-file',
    'requestheader-client-ca-file',
    'oidc-ca-file',
    'peer-ca-file',
  ],
  'kube-controller-manager': [
    'tls-cert-file',
    'client-ca-file',
    'requestheader-client-ca-file',
    'root-ca-file',
    'cluster-signing-cert-file',
    'cluster-signing-kubelet-serving-cert-file',
    'cluster-signing-kubelet-client-cert-file',
    'cluster-signing-kube-apiserver-client-cert-file',
    'cluster-signing-legacy-unknown-cert-file',
  ],
  'kube-scheduler': ['tls-cert-file', 'client-ca-file', 'requestheader-client-ca-file'],
  kubelet: ['tls-cert-file', 'client-ca-file'],
} as const satisfies Record<string, readonly string[]>;

/** Flags that name kubeconfigs. */
export const kubeconfigFlags = ['kubeconfig', 'authentication-kubeconfig', 'authorization-kubeconfig'] as const;
