/**
 * A stranger that writes lines of its own into components' logs: servers built with Go before 1.24.8 print the protocols that a caller
 * offers as they are (CVE-2025-58189). etcd quotes them.
 */
import type { Component } from '../../common/names/names.ts';
import type { Cluster } from './clusters.ts';
import type { Host } from './host.ts';

/** What every one of them ends with when it is true. */
const FORGED = 'Error: x509: certificate signed by unknown authority';

interface Target {
  component: Component;
  host: Host;
  endpoint: string;
}

function targets({ controlPlane, kubelet }: Cluster): Target[] {
  return [
    { component: 'kube-apiserver', host: controlPlane, endpoint: `${controlPlane.ip}:6443` },
    { component: 'kube-controller-manager', host: controlPlane, endpoint: '127.0.0.1:10257' },
    { component: 'kube-scheduler', host: controlPlane, endpoint: '127.0.0.1:10259' },
    { component: 'kubelet', host: kubelet, endpoint: `${kubelet.ip}:10250` },
  ];
}

/** Calls each server once, without any certificate; one that offers no protocol of its own writes nothing. */
export async function forgeLines(cluster: Cluster): Promise<void> {
  for (const { host, endpoint } of targets(cluster)) {
    const alpn = `x\n${FORGED}\ny`;
    await host.run(['openssl', 's_client', '-connect', endpoint, '-alpn', alpn], { input: '', timeoutMs: 20_000 });
  }
}

/** How often the line stands in each log. */
export async function forgedLines(cluster: Cluster): Promise<Partial<Record<Component, number>>> {
  const counts: Partial<Record<Component, number>> = {};
  for (const { component, host } of targets(cluster)) {
    const runs = cluster.runs(component);
    const read =
      'unit' in runs
        ? `journalctl --sync; journalctl --no-pager -q -o cat -u ${runs.unit} | grep -cFx '${FORGED}' || true`
        : `cat /var/log/pods/kube-system_${runs.pod}_*/${runs.container}/*.log | grep -cF ' F ${FORGED}' || true`;
    counts[component] = Number(await host.sh(read));
  }
  return counts;
}
