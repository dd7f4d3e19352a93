/** A plaintext etcd cluster of Debian's etcd units, as it is before anything here touches it. */
import type { Host } from './host.ts';

/** Configures and starts one member per host, and waits until all are healthy. */
export async function startPlainEtcd(hosts: readonly Host[]): Promise<void> {
  const cluster = hosts.map(({ name, ip }) => `${name}=http://${ip}:2380`).join(',');
  await Promise.all(
    hosts.map(async (host) => {
      const { name, ip } = host;
      await host.write(
        '/etc/default/etcd',
        `# a plaintext member, as so many clusters have them
ETCD_NAME="${name}"
ETCD_LISTEN_PEER_URLS="http://${ip}:2380"
ETCD_LISTEN_CLIENT_URLS="http://${ip}:2379,http://127.0.0.1:2379"
ETCD_ADVERTISE_CLIENT_URLS="http://${ip}:2379"
ETCD_INITIAL_ADVERTISE_PEER_URLS="http://${ip}:2380"
ETCD_INITIAL_CLUSTER="${cluster}"
ETCD_INITIAL_CLUSTER_STATE="new"
ETCD_INITIAL_CLUSTER_TOKEN="demo"
`,
      );
      await host.sh('systemctl enable -q etcd && systemctl restart etcd');
    }),
  );
  for (const host of hosts) {
    await host.until('a healthy etcd', async () =>
      (await host.sh('curl -s http://127.0.0.1:2379/health')).includes('"true"'),
    );
  }
}
