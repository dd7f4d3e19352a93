/**
 * A real Kubernetes v1.20.2 cluster as systemd units: each control plane runs etcd, kube-apiserver, kube-controller-manager and
 * kube-scheduler; a worker runs containerd and kubelet. Its certificates are the ones that kubeadm makes. The etcd of one control plane
 * is plaintext on loopback; several have one member each, under mutual TLS from the start.
 */
import type { Host } from './host.ts';
import { makeKubeadmFiles, makeKubeletConfig } from './kubeadm-files.ts';
import { etcdFlags, startStackedEtcd } from './stacked-etcd.ts';
import { startUnit } from './start-unit.ts';

const PKI = '/etc/kubernetes/pki';
const READY_MS = 180_000;

/** Which host is what. */
export interface KubernetesOptions {
  controlPlanes: readonly [Host, ...Host[]];
  worker: Host;
  /** HOST:PORT at which everybody reaches an API server: of the only one, or of a load balancer in front of all. */
  endpoint: string;
}

/** Brings the cluster up and waits until the node is Ready; about half a minute, a minute and a half with three control planes. */
export async function startKubernetes(options: KubernetesOptions): Promise<void> {
  const { controlPlanes, worker, endpoint } = options;
  const [first] = controlPlanes;
  const sinceMs = Date.now();
  // API servers call kubelets by the names of their nodes
  for (const host of controlPlanes) await host.sh(`echo '${worker.ip} ${worker.name}' >>/etc/hosts`);
  await makeKubeadmFiles(controlPlanes, endpoint);
  await startStackedEtcd(controlPlanes);
  await Promise.all(controlPlanes.map((host) => startControlPlane(host, controlPlanes)));
  await startWorker(first, worker, endpoint);
  await untilKubernetesIsReady(options, sinceMs);
}

/** Stops everything in order, so that it starts without waiting for what others seem to hold. */
export async function stopKubernetes({ controlPlanes, worker }: KubernetesOptions): Promise<void> {
  const [first] = controlPlanes;
  await worker.sh('systemctl stop kubelet containerd');
  const all = (script: string) => Promise.all(controlPlanes.map((host) => host.sh(script)));
  await all('systemctl stop kube-controller-manager kube-scheduler');
  await first.sh(RELEASE_LEASES);
  // watches may hold it for a minute
  await all('systemctl kill -s KILL kube-apiserver || true; systemctl stop kube-apiserver');
  await all('systemctl stop etcd');
}

/** Waits until every API server is ready and the node is Ready by a lease of its kubelet since this time. */
export async function untilKubernetesIsReady(
  { controlPlanes, worker }: KubernetesOptions,
  sinceMs: number,
): Promise<void> {
  await Promise.all(controlPlanes.map(untilReadyz));
  await untilNodeIsReady(controlPlanes[0], worker.name, sinceMs);
}

/** Waits until a node is Ready, by a lease that its kubelet renewed since this time. */
export async function untilNodeIsReady(controlPlane: Host, node: string, sinceMs: number): Promise<void> {
  const lease = `get lease -n kube-node-lease ${node} -o jsonpath={.spec.renewTime}`;
  const isReady = async () => {
    const renewed = await controlPlane.sh(`kubectl --kubeconfig /etc/kubernetes/admin.conf ${lease}`);
    return Date.parse(renewed) > sinceMs && (await nodes(controlPlane)).includes(' Ready ');
  };
  await controlPlane.until(`node ${node} to be Ready`, isReady, READY_MS);
}

/** What the managers hold while they run; the next ones would wait until it has run out. */
export const RELEASE_LEASES =
  'kubectl --kubeconfig /etc/kubernetes/admin.conf delete lease -n kube-system kube-controller-manager kube-scheduler';

/** `kubectl get nodes` with the administrator's kubeconfig. */
export function nodes(controlPlane: Host): Promise<string> {
  return controlPlane.sh('kubectl --kubeconfig /etc/kubernetes/admin.conf get nodes');
}

/** Waits until the host's own API server is ready, whichever the endpoint leads to. */
async function untilReadyz(host: Host): Promise<void> {
  const readyz = ['curl', '-sfk', '-m', '5', `https://${host.ip}:6443/readyz`];
  await host.until('the API server to be ready', async () => (await host.run(readyz)).code === 0, READY_MS);
}

async function startControlPlane(host: Host, controlPlanes: readonly Host[]): Promise<void> {
  await startUnit(
    host,
    'kube-apiserver',
    `/opt/bin/kube-apiserver --advertise-address=${host.ip} --allow-privileged=true --authorization-mode=Node,RBAC \
--client-ca-file=${PKI}/ca.crt --enable-admission-plugins=NodeRestriction ${etcdFlags(host, controlPlanes)} \
--kubelet-client-certificate=${PKI}/apiserver-kubelet-client.crt --kubelet-client-key=${PKI}/apiserver-kubelet-client.key \
--requestheader-client-ca-file=${PKI}/front-proxy-ca.crt --requestheader-allowed-names=front-proxy-client \
--proxy-client-cert-file=${PKI}/front-proxy-client.crt --proxy-client-key-file=${PKI}/front-proxy-client.key \
--service-account-issuer=https://kubernetes.default.svc.cluster.local --service-account-key-file=${PKI}/sa.pub \
--service-account-signing-key-file=${PKI}/sa.key --service-cluster-ip-range=10.96.0.0/12 \
--tls-cert-file=${PKI}/apiserver.crt --tls-private-key-file=${PKI}/apiserver.key --v=2`,
  );
  await untilReadyz(host);
  const manager = '/etc/kubernetes/controller-manager.conf';
  await startUnit(
    host,
    'kube-controller-manager',
    `/opt/bin/kube-controller-manager --kubeconfig=${manager} --authentication-kubeconfig=${manager} --authorization-kubeconfig=${manager} \
--cluster-signing-cert-file=${PKI}/ca.crt --cluster-signing-key-file=${PKI}/ca.key --root-ca-file=${PKI}/ca.crt \
--service-account-private-key-file=${PKI}/sa.key --use-service-account-credentials=true --v=4`,
  );
  const scheduler = '/etc/kubernetes/scheduler.conf';
  await startUnit(
    host,
    'kube-scheduler',
    `/opt/bin/kube-scheduler --kubeconfig=${scheduler} --authentication-kubeconfig=${scheduler} --authorization-kubeconfig=${scheduler} --v=4`,
  );
}

async function startWorker(first: Host, worker: Host, endpoint: string): Promise<void> {
  const kubeconfig = await makeKubeletConfig(first, worker.name, endpoint);
  await worker.write('/etc/kubernetes/kubelet.conf', kubeconfig, '0600');
  await worker.write(`${PKI}/ca.crt`, await first.read(`${PKI}/ca.crt`));
  await startContainerd(worker, '10.244.1.0/24');
  await worker.sh('mkdir -p /etc/kubernetes/manifests /var/lib/kubelet');
  await worker.write('/var/lib/kubelet/config.yaml', KUBELET_CONFIG);
  await startUnit(
    worker,
    'kubelet',
    `/opt/bin/kubelet --kubeconfig=/etc/kubernetes/kubelet.conf --config=/var/lib/kubelet/config.yaml \
--container-runtime=remote --container-runtime-endpoint=unix:///run/containerd/containerd.sock \
--cgroups-per-qos=false --enforce-node-allocatable= --hostname-override=${worker.name} --node-ip=${worker.ip}`,
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
