/**
 * A real kubeadm-style control plane v1.20.2 on one host, kp1: kubelet as a unit, and etcd, kube-apiserver,
 * kube-controller-manager and kube-scheduler as static pods out of the manifests that kubeadm itself writes.
 */
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { runChecked, runCommand } from '../../common/run/command.ts';
import { writeImage } from './container-image.ts';
import type { Host } from './host.ts';
import { startContainerd } from './kubernetes-cluster.ts';
import { BASE, BIN, installPackages } from './packages.ts';

/** In the folder that hosts see as /opt/bin. */
const IMAGES = join(BIN, 'images');
const VERSION = 'v1.20.2';

/** Brings it up and waits until all four pods are ready; about two minutes. */
export async function startStaticPods(host: Host, say: (text: string) => void): Promise<void> {
  await makeImages(say);
  await startContainerd(host, '10.244.9.0/24');
  for (const { archive } of images()) {
    await host.sh(`ctr -n k8s.io images import /opt/bin/images/${basename(archive)} >/dev/null`, 180_000);
  }
  await host.write('/root/kubeadm.yaml', kubeadmConfig(host));
  await host.sh(
    'for phase in "certs all" "kubeconfig all" "etcd local" "control-plane all"; do kubeadm init phase $phase --config /root/kubeadm.yaml; done 2>&1',
  );
  await host.write('/var/lib/kubelet/config.yaml', KUBELET_CONFIG);
  await host.write('/etc/systemd/system/kubelet.service', kubeletUnit(host));
  await host.sh('systemctl daemon-reload; systemctl enable -q --now kubelet');
  await host.until('four pods to be ready', async () => (await pods(host)).match(/ 1\/1 /g)?.length === 4, 240_000);
}

/** `kubectl get pods -A` with the administrator's kubeconfig. */
export function pods(host: Host): Promise<string> {
  return host.sh('kubectl --kubeconfig /etc/kubernetes/admin.conf get pods -A');
}

/** Images with what they are made of. */
function images(): { name: string; archive: string; program: string; root: string }[] {
  const image = (name: string, file: string, program: string, root = '') => ({
    ...{ name, program, root },
    archive: join(IMAGES, `${file}.tar`),
  });
  return [
    image('localhost/pause:1', 'pause', join(IMAGES, 'pause')),
    ...['kube-apiserver', 'kube-controller-manager', 'kube-scheduler'].map((name) =>
      image(`localhost/${name}:${VERSION}`, name, join(BIN, name)),
    ),
    image('localhost/etcd:3.4.13-0', 'etcd', join(BASE, 'usr/bin/etcd'), BASE),
  ];
}

/** Once a machine. */
async function makeImages(say: (text: string) => void): Promise<void> {
  if (images().every(({ archive }) => existsSync(archive))) return;
  say('making container images');
  await installPackages(['gcc', 'libc6-dev'], say);
  await mkdir(IMAGES, { recursive: true });
  const source = join(import.meta.dirname, 'pause.c');
  await runChecked(runCommand, ['cc', '-static', '-O2', '-o', join(IMAGES, 'pause'), source]);
  for (const { name, archive, program, root } of images()) await writeImage(name, program, root, archive);
}

function kubeadmConfig(host: Host): string {
  return `apiVersion: kubeadm.k8s.io/v1beta2
kind: ClusterConfiguration
kubernetesVersion: ${VERSION}
imageRepository: localhost
controlPlaneEndpoint: ${host.ip}:6443
networking: {serviceSubnet: 10.96.0.0/12}
controllerManager: {extraArgs: {v: "4"}}
scheduler: {extraArgs: {v: "4"}}
---
apiVersion: kubeadm.k8s.io/v1beta2
kind: InitConfiguration
localAPIEndpoint: {advertiseAddress: ${host.ip}}
nodeRegistration: {name: ${host.name}}
`;
}

const KUBELET_CONFIG = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: /etc/kubernetes/pki/ca.crt}}
authorization: {mode: Webhook}
cgroupDriver: cgroupfs
failSwapOn: false
rotateCertificates: true
staticPodPath: /etc/kubernetes/manifests
`;

function kubeletUnit(host: Host): string {
  return `[Service]
ExecStart=/opt/bin/kubelet --kubeconfig=/etc/kubernetes/kubelet.conf --config=/var/lib/kubelet/config.yaml \\
  --container-runtime=remote --container-runtime-endpoint=unix:///run/containerd/containerd.sock \\
  --cgroups-per-qos=false --enforce-node-allocatable= --hostname-override=${host.name} --node-ip=${host.ip}
Restart=always
RestartSec=2
[Install]
WantedBy=multi-user.target
`;
}
