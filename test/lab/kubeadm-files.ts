/** Certificates and kubeconfigs of a cluster, made by kubeadm itself: by its phases, without any static pod. */
import type { Host } from './host.ts';

const PKI = '/etc/kubernetes/pki';
/** What all control planes share; everything else is each one's own (kubeadm documentation, "Manual certificate distribution"). */
const SHARED = ['ca', 'etcd/ca', 'front-proxy-ca']
  .flatMap((name) => [`${name}.crt`, `${name}.key`])
  .concat(['sa.key', 'sa.pub']);

/** Makes them on every control plane, with the CAs of the first; every kubeconfig names the endpoint. */
export async function makeKubeadmFiles(controlPlanes: readonly [Host, ...Host[]], endpoint: string): Promise<void> {
  const [first, ...others] = controlPlanes;
  await runPhases(first, endpoint);
  for (const other of others) {
    for (const file of SHARED) await other.write(`${PKI}/${file}`, await first.read(`${PKI}/${file}`), '0600');
  }
  await Promise.all(others.map((other) => runPhases(other, endpoint)));
}

/** Makes the kubeconfig of a node's kubelet and returns it. */
export async function makeKubeletConfig(controlPlane: Host, node: string, endpoint: string): Promise<string> {
  const folder = `/root/${node}`;
  await controlPlane.write(`${folder}.yaml`, kubeadmConfig(controlPlane.ip, node, endpoint));
  await controlPlane.sh(
    `kubeadm init phase kubeconfig kubelet --config ${folder}.yaml --kubeconfig-dir ${folder} 2>&1`,
  );
  return controlPlane.read(`${folder}/kubelet.conf`);
}

async function runPhases(host: Host, endpoint: string): Promise<void> {
  await host.write('/root/kubeadm.yaml', kubeadmConfig(host.ip, host.name, endpoint));
  await host.sh(
    'for phase in "certs all" "kubeconfig all"; do kubeadm init phase $phase --config /root/kubeadm.yaml; done 2>&1',
  );
  // since 1.20 kubeadm gives these two the API server beside them
  for (const name of ['controller-manager', 'scheduler']) {
    const kubeconfig = `--kubeconfig /etc/kubernetes/${name}.conf`;
    await host.sh(`kubectl config set-cluster kubernetes --server https://${endpoint} ${kubeconfig}`);
  }
}

function kubeadmConfig(ip: string, node: string, endpoint: string): string {
  return `apiVersion: kubeadm.k8s.io/v1beta2
kind: ClusterConfiguration
kubernetesVersion: v1.20.2
controlPlaneEndpoint: ${endpoint}
networking: {serviceSubnet: 10.96.0.0/12}
---
apiVersion: kubeadm.k8s.io/v1beta2
kind: InitConfiguration
localAPIEndpoint: {advertiseAddress: ${ip}}
nodeRegistration: {name: ${node}}
`;
}
