/**
 * A real Kubernetes v1.20.2 cluster on two hosts, as systemd units: cp1 runs etcd, kube-apiserver, kube-controller-manager and
 * kube-scheduler; w1 runs containerd and kubelet. Its certificates are the ones that kubeadm makes; etcd is plaintext on loopback.
 */
import type { Host } from './host.ts';

const PKI = '/etc/kubernetes/pki';

/** Brings the cluster up and waits until the node is Ready; about half a minute. */
export async function startKubernetes(cp1: Host, w1: Host): Promise<void> {
  // the API server calls kubelets by the names of their nodes
  await cp1.sh(`echo '${w1.ip} w1' >>/etc/hosts`);
  await startControlPlane(cp1);
  await startWorker(cp1, w1);
  await cp1.until('node w1 to be Ready', async () => (await nodes(cp1)).includes(' Ready '), 120_000);
}

/** `kubectl get nodes` with the administrator's kubeconfig. */
export function nodes(cp1: Host): Promise<string> {
  return cp1.sh('kubectl --kubeconfig /etc/kubernetes/admin.conf get nodes');
}

function kubeadmConfig(cp1: Host, node: string): string {
  return `apiVersion: kubeadm.k8s.io/v1beta2
kind: ClusterConfiguration
kubernetesVersion: v1.20.2
controlPlaneEndpoint: ${cp1.ip}:6443
networking: {serviceSubnet: 10.96.0.0/12}
---
apiVersion: kubeadm.k8s.io/v1beta2
kind: InitConfiguration
localAPIEndpoint: {advertiseAddress: ${cp1.ip}}
nodeRegistration: {name: ${node}}
`;
}

async function startUnit(host: Host, name: string, command: string): Promise<void> {
  await host.write(
    `/etc/systemd/system/${name}.service`,
    `[Unit]\nDescription=${name}\n[Service]\nExecStart=${command}\nRestart=always\nRestartSec=2\n[Install]\nWantedBy=multi-user.target\n`,
  );
  await host.sh(`systemctl daemon-reload; systemctl enable -q --now ${name}`);
}

async function startControlPlane(cp1: Host): Promise<void> {
  await cp1.sh('systemctl enable -q --now etcd');
  await cp1.write('/root/kubeadm.yaml', kubeadmConfig(cp1, 'cp1'));
  await cp1.sh(
    'for phase in "certs all" "kubeconfig all"; do kubeadm init phase $phase --config /root/kubeadm.yaml; done 2>&1',
  );
  await startUnit(
    cp1,
    'kube-apiserver',
    `/opt/bin/kube-apiserver --advertise-address=${cp1.ip} --allow-privileged=true --authorization-mode=Node,RBAC \
--client-ca-file=${PKI}/ca.crt --enable-admission-plugins=NodeRestriction --etcd-servers=http://127.0.0.1:2379 \
--kubelet-client-certificate=${PKI}/apiserver-kubelet-client.crt --kubelet-client-key=${PKI}/apiserver-kubelet-client.key \
--requestheader-client-ca-file=${PKI}/front-proxy-ca.crt --requestheader-allowed-names=front-proxy-client \
--proxy-client-cert-file=${PKI}/front-proxy-client.crt --proxy-client-key-file=${PKI}/front-proxy-client.key \
--service-account-issuer=https://kubernetes.default.svc.cluster.local --service-account-key-file=${PKI}/sa.pub \
--service-account-signing-key-file=${PKI}/sa.key --service-cluster-ip-range=10.96.0.0/12 \
--tls-cert-file=${PKI}/apiserver.crt --tls-private-key-file=${PKI}/apiserver.key --v=2`,
  );
  const manager = '/etc/kubernetes/controller-manager.conf';
  await startUnit(
    cp1,
    'kube-controller-manager',
    `/opt/bin/kube-controller-manager --kubeconfig=${manager} --authentication-kubeconfig=${manager} --authorization-kubeconfig=${manager} \
--cluster-signing-cert-file=${PKI}/ca.crt --cluster-signing-key-file=${PKI}/ca.key --root-ca-file=${PKI}/ca.crt \
--service-account-private-key-file=${PKI}/sa.key --use-service-account-credentials=true --v=4`,
  );
  const scheduler = '/etc/kubernetes/scheduler.conf';
  await startUnit(
    cp1,
    'kube-scheduler',
    `/opt/bin/kube-scheduler --kubeconfig=${scheduler} --authentication-kubeconfig=${scheduler} --authorization-kubeconfig=${scheduler} --v=4`,
  );
  await cp1.until('the API server to be ready', async () => {
    const readyz = ['kubectl', '--kubeconfig', '/etc/kubernetes/admin.conf', 'get', '--raw', '/readyz'];
    return (await cp1.run(readyz)).code === 0;
  });
}

async function startWorker(cp1: Host, w1: Host): Promise<void> {
  await cp1.write('/root/w1.yaml', kubeadmConfig(cp1, 'w1'));
  await cp1.sh('kubeadm init phase kubeconfig kubelet --config /root/w1.yaml --kubeconfig-dir /root/w1 2>&1');
  await w1.write('/etc/kubernetes/kubelet.conf', await cp1.read('/root/w1/kubelet.conf'), '0600');
  await w1.write(`${PKI}/ca.crt`, await cp1.read(`${PKI}/ca.crt`));
  await startContainerd(w1, '10.244.1.0/24');
  await w1.sh('mkdir -p /etc/kubernetes/manifests /var/lib/kubelet');
  await w1.write('/var/lib/kubelet/config.yaml', KUBELET_CONFIG);
  await startUnit(
    w1,
    'kubelet',
    `/opt/bin/kubelet --kubeconfig=/etc/kubernetes/kubelet.conf --config=/var/lib/kubelet/config.yaml \
--container-runtime=remote --container-runtime-endpoint=unix:///run/containerd/containerd.sock \
--cgroups-per-qos=false --enforce-node-allocatable= --hostname-override=w1 --node-ip=${w1.ip}`,
  );
}

/** Starts the container runtime with a bridge network of its own. */
export async function startContainerd(host: Host, subnet: string): Promise<void> {
  await host.write(
    '/etc/cni/net.d/10-bridge.conflist',
    `{"cniVersion":"0.3.1","name":"bridge","plugins":[{"type":"bridge","bridge":"cni0","isGateway":true,"ipMasq":false,"ipam":{"type":"host-local","ranges":[[{"subnet":"${subnet}"}]]}}]}\n`,
  );
  await host.sh(`mkdir -p /etc/containerd
containerd config default | sed 's#bin_dir = "/opt/cni/bin"#bin_dir = "/usr/lib/cni"#; s#snapshotter = "overlayfs"#snapshotter = "native"#; s#sandbox_image = .*#sandbox_image = "localhost/pause:1"#; s#restrict_oom_score_adj = false#restrict_oom_score_adj = true#' >/etc/containerd/config.toml
systemctl enable -q containerd; systemctl restart containerd`);
}

const KUBELET_CONFIG = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
# kept by hand: comments have to survive
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: /etc/kubernetes/pki/ca.crt}}
authorization: {mode: Webhook}
cgroupDriver: cgroupfs
failSwapOn: false
rotateCertificates: true
staticPodPath: /etc/kubernetes/manifests
`;
