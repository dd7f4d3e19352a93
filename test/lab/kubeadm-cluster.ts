/**
 * Three control planes v1.20.2 with stacked etcd, kp1, kp2 and kp3, made by kubeadm itself behind one address: `kubeadm init` on the first,
 * `kubeadm join --control-plane` on the others, kubelet with kubeadm's own drop-in and its bootstrap of TLS.
 */
import { randomBytes } from 'node:crypto';
import type { Host } from './host.ts';
import { RELEASE_LEASES, startContainerd, untilNodeIsReady } from './kubernetes-cluster.ts';
import { importImages, removeContainers, untilPodsAreReady, VERSION } from './static-pods.ts';

const READY_MS = 300_000;
/** Of the form that kubeadm wants; it ends with the lab. */
const TOKEN = 'abcdef.0123456789abcdef';

/** Brings it up and waits until all twelve pods are ready. */
export async function startKubeadm(
  hosts: readonly [Host, ...Host[]],
  endpoint: string,
  say: (text: string) => void,
): Promise<void> {
  const [first, ...others] = hosts;
  await Promise.all(
    hosts.map(async (host, at) => {
      await startContainerd(host, `10.244.${20 + at}.0/24`);
      await importImages(host, say);
      await host.write('/etc/systemd/system/kubelet.service', KUBELET_UNIT);
      await host.sh('systemctl daemon-reload; systemctl enable -q kubelet');
    }),
  );
  const key = randomBytes(32).toString('hex');
  const sinceMs = Date.now();
  await first.write('/root/kubeadm.yaml', initConfig(first, endpoint, key));
  await first.sh(
    'kubeadm init --config /root/kubeadm.yaml --upload-certs --skip-phases=preflight,addon >/root/init.log 2>&1 || { tail -40 /root/init.log; exit 1; }',
    READY_MS,
  );
  say('kubeadm init has ended');
  // kubeadm adds one etcd member after the other
  for (const host of others) {
    await host.write('/root/kubeadm.yaml', joinConfig(host, endpoint, key));
    await host.sh(
      'kubeadm join --config /root/kubeadm.yaml --skip-phases=preflight >/root/join.log 2>&1 || { tail -40 /root/join.log; exit 1; }',
      READY_MS,
    );
    say(`kubeadm join has ended on ${host.name}`);
  }
  await untilKubeadmIsReady(hosts, sinceMs);
}

/** Stops kubelets, then managers, then everything, so that nobody waits for what others seem to hold. */
export async function stopKubeadm(hosts: readonly [Host, ...Host[]]): Promise<void> {
  await Promise.all(hosts.map((host) => host.sh('systemctl stop kubelet')));
  await Promise.all(hosts.map((host) => host.sh('pkill -x kube-controller; pkill -x kube-scheduler; true')));
  await hosts[0].sh(RELEASE_LEASES);
  await Promise.all(hosts.map(removeContainers));
}

/** Waits until every node is Ready by a lease since this time, and all twelve pods are. */
export async function untilKubeadmIsReady(hosts: readonly [Host, ...Host[]], sinceMs: number): Promise<void> {
  for (const { name } of hosts) await untilNodeIsReady(hosts[0], name, sinceMs);
  await untilPodsAreReady(hosts[0], 4 * hosts.length);
}

/** As the packages of Kubernetes have it, 10-kubeadm.conf. */
const KUBELET_UNIT = `[Service]
Environment="KUBELET_KUBECONFIG_ARGS=--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf --kubeconfig=/etc/kubernetes/kubelet.conf"
Environment="KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml"
EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env
EnvironmentFile=-/etc/default/kubelet
ExecStart=/opt/bin/kubelet $KUBELET_KUBECONFIG_ARGS $KUBELET_CONFIG_ARGS $KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS
Restart=always
StartLimitInterval=0
RestartSec=2
[Install]
WantedBy=multi-user.target
`;

function registration({ name, ip }: Host): string {
  return `nodeRegistration:
  name: ${name}
  criSocket: /run/containerd/containerd.sock
  taints: []
  kubeletExtraArgs: {cgroups-per-qos: "false", enforce-node-allocatable: "", node-ip: "${ip}"}
`;
}

function initConfig(host: Host, endpoint: string, key: string): string {
  return `apiVersion: kubeadm.k8s.io/v1beta2
kind: InitConfiguration
bootstrapTokens: [{token: ${TOKEN}}]
certificateKey: ${key}
localAPIEndpoint: {advertiseAddress: ${host.ip}}
${registration(host)}---
apiVersion: kubeadm.k8s.io/v1beta2
kind: ClusterConfiguration
kubernetesVersion: ${VERSION}
imageRepository: localhost
controlPlaneEndpoint: ${endpoint}
networking: {serviceSubnet: 10.96.0.0/12}
controllerManager: {extraArgs: {v: "4"}}
scheduler: {extraArgs: {v: "4"}}
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
cgroupDriver: cgroupfs
failSwapOn: false
`;
}

function joinConfig(host: Host, endpoint: string, key: string): string {
  return `apiVersion: kubeadm.k8s.io/v1beta2
kind: JoinConfiguration
discovery: {bootstrapToken: {token: ${TOKEN}, apiServerEndpoint: "${endpoint}", unsafeSkipCAVerification: true}}
controlPlane: {localAPIEndpoint: {advertiseAddress: ${host.ip}}, certificateKey: ${key}}
${registration(host)}`;
}
