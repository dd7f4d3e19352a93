/**
 * Lets running components log more, without a restart: what a healthy cluster says is hardly anything otherwise. The controller
 * manager and the scheduler of 1.20 cannot be told so; the lab starts them with --v=4.
 */
import type { Cluster } from './clusters.ts';

const PKI = '/etc/kube-mtls/pki';
/** Of klog: every request of the API server, what a kubelet does, every reconnection. */
const LEVEL = 4;

/**
 * Raises the level of API server, kubelet and etcd, as an administrator may by their debugging handlers.
 *
 * @throws when a component refuses
 */
export async function logLoudly({ controlPlane, kubelet }: Cluster): Promise<void> {
  const admin = `export KUBECONFIG=/etc/kubernetes/admin.conf; cd "$(mktemp -d)"
for part in certificate key; do
  kubectl config view --raw -o jsonpath="{.users[0].user.client-$part-data}" | base64 -d >$part
done`;
  const put = 'curl -sS -k -f -m 20 -X PUT';
  const calls = [`${controlPlane.ip}:6443`, `${kubelet.ip}:10250`].map(
    (address) => `${put} --cert certificate --key key -d ${LEVEL} https://${address}/debug/flags/v`,
  );
  const client = `${PKI}/kube-apiserver/current/etcd-client`;
  const etcd = `${put} --cert ${client}.crt --key ${client}.key -d '{"Level":"DEBUG"}' https://127.0.0.1:2379/config/local/log`;
  await controlPlane.sh([admin, ...calls, etcd].join('\n'));
}
