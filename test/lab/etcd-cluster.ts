/** A plaintext etcd cluster of Debian's etcd units, as it is before anything here touches it. */
import type { Host } from './host.ts';

/** The file of {@link startEtcdByFile}. */
export const ETCD_FILE = '/etc/etcd/etcd.yaml';

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
  for (const host of hosts) await untilHealthy(host);
}

/** Starts a cluster of one member, which takes its settings out of a file: --config-file. */
export async function startEtcdByFile(host: Host): Promise<void> {
  const { name, ip } = host;
  await host.write(
    ETCD_FILE,
    `# etcd of ${name}, as the guide has it
name: ${name}
data-dir: /var/lib/etcd/default
listen-peer-urls: http://${ip}:2380
listen-client-urls: http://${ip}:2379,http://127.0.0.1:2379 # both are needed
advertise-client-urls: http://${ip}:2379
initial-advertise-peer-urls: http://${ip}:2380
initial-cluster: ${name}=http://${ip}:2380
initial-cluster-state: new
`,
  );
  const start = `[Service]\nExecStart=\nExecStart=/usr/bin/etcd --config-file ${ETCD_FILE}\n`;
  await host.write('/etc/systemd/system/etcd.service.d/10-file.conf', start);
  await host.sh('systemctl daemon-reload; systemctl enable -q etcd; systemctl restart etcd');
  await untilHealthy(host);
}

async function untilHealthy(host: Host): Promise<void> {
  await host.until('a healthy etcd', async () =>
    (await host.sh('curl -s http://127.0.0.1:2379/health')).includes('"true"'),
  );
}
