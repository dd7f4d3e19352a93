/** Command lines, units, configurations and manifests as clusters really have them, for tests of the plan. */

/** Debian's unit of etcd (etcd-server 3.4.23-4), as far as it matters. */
export const etcdUnit = `[Service]
Environment=DAEMON_ARGS=
Environment=ETCD_NAME=%H
Environment=ETCD_DATA_DIR=/var/lib/etcd/default
EnvironmentFile=-/etc/default/%p
Type=notify
User=etcd
#ExecStart=/bin/sh -c "GOMAXPROCS=$(nproc) /usr/bin/etcd $DAEMON_ARGS"
ExecStart=/usr/bin/etcd $DAEMON_ARGS
`;

/** kubeadm's folder of certificates. */
export const pki = '/etc/kubernetes/pki';

/** The API server of lab/cluster.sh. */
export const apiserverCommand = [
  '/opt/bin/kube-apiserver --advertise-address=10.77.0.10 --allow-privileged=true --authorization-mode=Node,RBAC',
  `--client-ca-file=${pki}/ca.crt --enable-admission-plugins=NodeRestriction --etcd-servers=http://127.0.0.1:2379`,
  `--kubelet-client-certificate=${pki}/apiserver-kubelet-client.crt --kubelet-client-key=${pki}/apiserver-kubelet-client.key`,
  `--requestheader-client-ca-file=${pki}/front-proxy-ca.crt --requestheader-allowed-names=front-proxy-client`,
  `--proxy-client-cert-file=${pki}/front-proxy-client.crt --proxy-client-key-file=${pki}/front-proxy-client.key`,
  `--service-account-issuer=https://kubernetes.default.svc.cluster.local --service-account-key-file=${pki}/sa.pub`,
  `--service-account-signing-key-file=${pki}/sa.key --service-cluster-ip-range=10.96.0.0/12`,
  `--tls-cert-file=${pki}/apiserver.crt --tls-private-key-file=${pki}/apiserver.key --v=2`,
].join(' ');

/** kubeadm's API server, which reaches etcd by TLS. */
export const kubeadmApiserverCommand = apiserverCommand.replace(
  '--etcd-servers=http://127.0.0.1:2379',
  `--etcd-cafile=${pki}/etcd/ca.crt --etcd-certfile=${pki}/apiserver-etcd-client.crt --etcd-keyfile=${pki}/apiserver-etcd-client.key --etcd-servers=https://127.0.0.1:2379`,
);

/** kubeadm's etcd on cp1. */
export const kubeadmEtcdCommand = [
  `etcd --advertise-client-urls=https://10.77.0.10:2379 --cert-file=${pki}/etcd/server.crt --client-cert-auth=true`,
  '--data-dir=/var/lib/etcd --initial-advertise-peer-urls=https://10.77.0.10:2380',
  `--initial-cluster=cp1=https://10.77.0.10:2380 --key-file=${pki}/etcd/server.key`,
  '--listen-client-urls=https://127.0.0.1:2379,https://10.77.0.10:2379 --listen-metrics-urls=http://127.0.0.1:2381',
  `--listen-peer-urls=https://10.77.0.10:2380 --name=cp1 --peer-cert-file=${pki}/etcd/peer.crt`,
  `--peer-client-cert-auth=true --peer-key-file=${pki}/etcd/peer.key --peer-trusted-ca-file=${pki}/etcd/ca.crt`,
  `--snapshot-count=10000 --trusted-ca-file=${pki}/etcd/ca.crt`,
].join(' ');

const kubeconfigFlags = (path: string) =>
  `--kubeconfig=${path} --authentication-kubeconfig=${path} --authorization-kubeconfig=${path}`;

/** Kubeconfigs of the managers, where kubeadm puts them. */
export const managerKubeconfigs = {
  'kube-controller-manager': '/etc/kubernetes/controller-manager.conf',
  'kube-scheduler': '/etc/kubernetes/scheduler.conf',
} as const;

/** The controller manager and the scheduler of lab/cluster.sh. */
export const managerCommands = {
  'kube-controller-manager': [
    `/opt/bin/kube-controller-manager ${kubeconfigFlags(managerKubeconfigs['kube-controller-manager'])}`,
    `--cluster-signing-cert-file=${pki}/ca.crt --cluster-signing-key-file=${pki}/ca.key --root-ca-file=${pki}/ca.crt`,
    `--service-account-private-key-file=${pki}/sa.key --use-service-account-credentials=true`,
  ].join(' '),
  'kube-scheduler': `/opt/bin/kube-scheduler ${kubeconfigFlags(managerKubeconfigs['kube-scheduler'])}`,
} as const;

/** The kubelet of lab/cluster.sh. */
export const kubeletCommand = [
  '/opt/bin/kubelet --kubeconfig=/etc/kubernetes/kubelet.conf --config=/var/lib/kubelet/config.yaml',
  '--container-runtime=remote --container-runtime-endpoint=unix:///run/containerd/containerd.sock',
  '--cgroups-per-qos=false --enforce-node-allocatable= --hostname-override=w1 --node-ip=10.77.0.11',
].join(' ');

/** The KubeletConfiguration of lab/cluster.sh. */
export const kubeletConfig = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: /etc/kubernetes/pki/ca.crt}}
authorization: {mode: Webhook}
cgroupDriver: cgroupfs
failSwapOn: false
rotateCertificates: true
staticPodPath: /etc/kubernetes/manifests
`;

/** A kube-proxy of a cluster set up by hand. */
export const proxyCommand = '/opt/bin/kube-proxy --config=/var/lib/kube-proxy/config.yaml';
/** Its configuration. */
export const proxyConfig = `kind: KubeProxyConfiguration
apiVersion: kubeproxy.config.k8s.io/v1alpha1
clientConnection:
  kubeconfig: /var/lib/kube-proxy/kubeconfig
`;

/** A kubeconfig as kubeadm writes it, everything embedded. */
export function kubeconfigText(
  user: string,
  rootPem: string,
  client?: { pem: string; keyPem: string },
  server = '10.77.0.10:6443',
): string {
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  return `apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: ${base64(rootPem)}
    server: https://${server}
  name: kubernetes
contexts:
- context:
    cluster: kubernetes
    user: ${user}
  name: ${user}@kubernetes
current-context: ${user}@kubernetes
kind: Config
preferences: {}
users:
- name: ${user}
  user:
    client-certificate-data: ${base64(client?.pem ?? 'certificate')}
    client-key-data: ${base64(client?.keyPem ?? 'secret')}
`;
}

/** The manifest that kubeadm writes for a command line, its kubeconfig mounted as a file. */
export function manifestText(component: string, command: string, kubeconfig?: string): string {
  const words = command.split(' ').map((word) => `    - ${word.replace('/opt/bin/', '')}\n`);
  const mount =
    kubeconfig === undefined ? '' : `    - mountPath: ${kubeconfig}\n      name: kubeconfig\n      readOnly: true\n`;
  const volume =
    kubeconfig === undefined
      ? ''
      : `  - hostPath:\n      path: ${kubeconfig}\n      type: FileOrCreate\n    name: kubeconfig\n`;
  return `apiVersion: v1
kind: Pod
metadata:
  creationTimestamp: null
  labels:
    component: ${component}
    tier: control-plane
  name: ${component}
  namespace: kube-system
spec:
  containers:
  - command:
${words.join('')}    image: localhost/${component}:v1.20.2
    imagePullPolicy: IfNotPresent
    name: ${component}
    volumeMounts:
    - mountPath: ${pki} # all of it
      name: k8s-certs
      readOnly: true
${mount}  hostNetwork: true
  volumes:
  - hostPath:
      path: ${pki}
      type: DirectoryOrCreate
    name: k8s-certs
${volume}status: {}
`;
}
