/** etcd on the control planes themselves: one plaintext member on loopback, or one of several with kubeadm's certificates. */
import type { Host } from './host.ts';
import { startUnit } from './start-unit.ts';

const PKI = '/etc/kubernetes/pki';

/**
 * Starts Debian's etcd, in plaintext on loopback, on the only host; or one member on each of several, as a unit of its own under mutual
 * TLS. Waits until all are healthy.
 */
export async function startStackedEtcd(hosts: readonly [Host, ...Host[]]): Promise<void> {
  const [first] = hosts;
  if (hosts.length === 1) {
    await first.sh('systemctl enable -q --now etcd');
    return;
  }
  await Promise.all(hosts.map((host) => startUnit(host, 'etcd', memberCommand(host, hosts))));
  const client = `--cacert ${PKI}/etcd/ca.crt --cert ${PKI}/etcd/healthcheck-client.crt --key ${PKI}/etcd/healthcheck-client.key`;
  for (const host of hosts) {
    const health = `curl -s -m 5 ${client} https://127.0.0.1:2379/health`;
    await host.until('a healthy etcd', async () => (await host.sh(health)).includes('"true"'));
  }
}

/** Flags of an API server for them, its own member first. */
export function etcdFlags(own: Host, hosts: readonly Host[]): string {
  if (hosts.length === 1) return '--etcd-servers=http://127.0.0.1:2379';
  const urls = [own, ...hosts.filter((host) => host !== own)].map(({ ip }) => `https://${ip}:2379`);
  const client = `${PKI}/apiserver-etcd-client`;
  return `--etcd-servers=${urls.join(',')} --etcd-cafile=${PKI}/etcd/ca.crt --etcd-certfile=${client}.crt --etcd-keyfile=${client}.key`;
}

function memberCommand({ name, ip }: Host, hosts: readonly Host[]): string {
  const cluster = hosts.map((host) => `${host.name}=https://${host.ip}:2380`).join(',');
  return `/usr/bin/etcd --name=${name} --data-dir=/var/lib/etcd/default \
--listen-client-urls=https://127.0.0.1:2379,https://${ip}:2379 --advertise-client-urls=https://${ip}:2379 \
--listen-peer-urls=https://${ip}:2380 --initial-advertise-peer-urls=https://${ip}:2380 \
--initial-cluster=${cluster} --initial-cluster-state=new \
--cert-file=${PKI}/etcd/server.crt --key-file=${PKI}/etcd/server.key \
--client-cert-auth=true --trusted-ca-file=${PKI}/etcd/ca.crt \
--peer-cert-file=${PKI}/etcd/peer.crt --peer-key-file=${PKI}/etcd/peer.key \
--peer-client-cert-auth=true --peer-trusted-ca-file=${PKI}/etcd/ca.crt`;
}
