/**
 * A real kubeadm-style control plane v1.20.2 on one host, kp1: kubelet as a unit, and etcd, kube-apiserver,
 * kube-controller-manager and kube-scheduler as static pods out of the manifests that kubeadm itself writes.
 */
import { readFile, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { runChecked, runCommand } from '../../common/run/command.ts';
import { writeImage } from './container-image.ts';
import { installPackages } from './debian-packages.ts';
import type { Host } from './host.ts';
import { RELEASE_LEASES, startContainerd, untilNodeIsReady } from './kubernetes-cluster.ts';
import { makeOnce } from './made-once.ts';
import { BASE, BIN, hashOf, IMAGES } from './places.ts';

const READY_MS = 240_000;
/** Of the images. */
export const VERSION = 'v1.20.2';

/** Brings it up and waits until all four pods are ready; about two minutes. */
export async function startStaticPods(host: Host, say: (text: string) => void): Promise<void> {
  await startContainerd(host, '10.244.9.0/24');
  await importImages(host, say);
  await host.write('/root/kubeadm.yaml', kubeadmConfig(host));
  await host.sh(
    'for phase in "certs all" "kubeconfig all" "etcd local" "control-plane all"; do kubeadm init phase $phase --config /root/kubeadm.yaml; done 2>&1',
  );
  await host.write('/var/lib/kubelet/config.yaml', KUBELET_CONFIG);
  await host.write('/etc/systemd/system/kubelet.service', kubeletUnit(host));
  const sinceMs = Date.now();
  await host.sh('systemctl daemon-reload; systemctl enable -q --now kubelet');
  await untilStaticPodsAreReady(host, sinceMs);
}

/** Gives the runtime of a host the images of a control plane. */
export async function importImages(host: Host, say: (text: string) => void): Promise<void> {
  const folder = await makeImages(say);
  for (const { file } of IMAGES_OF) {
    await host.sh(`ctr -n k8s.io images import /opt/images/${basename(folder)}/${file} >/dev/null`, 180_000);
  }
}

/** Stops kubelet and all containers, so that everything starts without waiting for what others seem to hold. */
export async function stopStaticPods(host: Host): Promise<void> {
  await host.sh('systemctl stop kubelet; pkill -x kube-controller; pkill -x kube-scheduler');
  await host.sh(RELEASE_LEASES);
  await removeContainers(host);
}

/** Ends every container and the runtime of a host whose kubelet is stopped. */
export async function removeContainers(host: Host): Promise<void> {
  await host.sh(`for container in $(ctr -n k8s.io containers ls -q); do
  ctr -n k8s.io tasks rm -f $container >/dev/null || true
  ctr -n k8s.io containers rm $container
done; systemctl stop containerd`);
}

/** Waits until all four pods are ready, and the node too by what its kubelet said since this time. */
export async function untilStaticPodsAreReady(host: Host, sinceMs: number): Promise<void> {
  await untilPodsAreReady(host, 4);
  await untilNodeIsReady(host, host.name, sinceMs);
  await untilPodsAreReady(host, 4);
}

/** Waits until the cluster has so many pods and each is ready. */
export async function untilPodsAreReady(host: Host, count: number): Promise<void> {
  const areReady = async () => (await pods(host)).match(/ 1\/1 /g)?.length === count;
  await host.until(`${count} pods to be ready`, areReady, READY_MS);
}

/** `kubectl get pods -A` with the administrator's kubeconfig. */
export function pods(host: Host): Promise<string> {
  return host.sh('kubectl --kubeconfig /etc/kubernetes/admin.conf get pods -A');
}

const CONTROL_PLANE = ['kube-apiserver', 'kube-controller-manager', 'kube-scheduler'];
/** Images with their archives; the program of the first is compiled here. */
const IMAGES_OF = [
  { name: 'localhost/pause:1', file: 'pause.tar', program: 'pause' },
  ...CONTROL_PLANE.map((name) => ({
    name: `localhost/${name}:${VERSION}`,
    file: `${name}.tar`,
    program: join(BIN, name),
  })),
  { name: 'localhost/etcd:3.4.13-0', file: 'etcd.tar', program: join(BASE, 'usr/bin/etcd') },
];

/** Makes them, once for these programs, and returns their folder. */
async function makeImages(say: (text: string) => void): Promise<string> {
  const source = join(import.meta.dirname, 'pause.c');
  const programs = IMAGES_OF.slice(1).map(({ program }) => program);
  const states = await Promise.all(programs.map((program) => stat(program)));
  const made = states.map(({ size, mtimeMs }) => `${size} ${mtimeMs}`);
  const folder = join(IMAGES, hashOf(await readFile(source), ...programs, ...made));
  await makeOnce(folder, async (unfinished) => {
    say('making container images');
    await installPackages(['gcc', 'libc6-dev'], say);
    await runChecked(runCommand, ['cc', '-static', '-O2', '-o', join(unfinished, 'pause'), source]);
    for (const { name, file, program } of IMAGES_OF) {
      const root = program.startsWith(BASE) ? BASE : '';
      await writeImage(name, resolve(unfinished, program), root, join(unfinished, file));
    }
  });
  return folder;
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
