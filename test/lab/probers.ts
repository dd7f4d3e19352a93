/** Clients of a cluster's API server of every kind, calling five times a second while a cluster is changed; see probe-clients.ts. */
import assert from 'node:assert/strict';
import { availableParallelism, loadavg } from 'node:os';
import { Beside } from './beside.ts';
import type { Cluster } from './clusters.ts';
import { judgeProbes, judgeRefusals, type ProbeLimits } from './judge-probes.ts';
import type { ProbeReport } from './probe-clients.ts';
import { restartsOf } from './restart-windows.ts';

/** How long an API server may be away for one restart: one that kubelet starts waits for kubelet twice, for its end and for its beginning. */
const OUTAGE_MS = { units: 10_000, 'static-pods': 20_000 } as const;
/** kube-apiserver v1.20.2 on an idle machine of two processors: 6.7 to 7.2 s (test/cluster/slow-stop.test.ts prints it). */
const START_MS = 6700;
/** kube-controller-manager's --node-monitor-grace-period. */
const LEASE_MS = 40_000;
/** Calls five times a second, each with its own time to wait for an answer. */
const IN_A_ROW_MS = 4000;

/** Starts them; they call by the cluster's endpoint. */
export function startProbers({ controlPlane, endpoint, kubelet, logPath }: Cluster): Beside<ProbeReport> {
  const words = [controlPlane.root, `https://${endpoint}`, kubelet.name, logPath, kubelet.root];
  return Beside.start(controlPlane, 'probe-clients.ts', words);
}

/**
 * Asserts that every client was answered often enough, that none was refused, nor missed the API server, while it was there, and that the
 * API server was away once for each restart and not for long.
 */
export async function assertServed(report: ProbeReport, { kind, hosts }: Cluster, atLeast: number): Promise<void> {
  const restarts = await restartsOf(hosts.map(({ host }) => host));
  const limits: ProbeLimits = { answered: atLeast, outageMs: OUTAGE_MS[kind], startMs: START_MS, leaseMs: LEASE_MS };
  const { complaints, forgiven } = judgeProbes(report, restarts, limits);
  for (const line of forgiven) console.log(`# forgiven: ${line}`);
  const load = `load of the machine ${loadavg().map(Math.round).join(' ')} on ${availableParallelism()} processors`;
  const when = `outages ${JSON.stringify(report.outages)}, restarts ${JSON.stringify(restarts)}`;
  assert.deepEqual(complaints, [], `${when}; ${load}`);
}

/**
 * Asserts that every client was answered often enough, and that none was refused at any time: behind a load balancer that asks for
 * readiness no absence explains a refusal.
 */
export function assertNeverRefused(report: ProbeReport, atLeast: number): void {
  assert.deepEqual(judgeRefusals(report, { answered: atLeast, leaseMs: LEASE_MS }), []);
}

/** The calls that reached nobody who was ready: who, when, how many in a row, and why; one line for those in a row that met the same. */
export function notReached({ clients }: ProbeReport): string[] {
  const rows: { client: string; fromMs: number; untilMs: number; count: number; why: string }[] = [];
  for (const [client, { away }] of Object.entries(clients)) {
    for (const { fromMs, untilMs, why } of away) {
      const last = rows.at(-1);
      if (last?.client === client && last.why === why && fromMs - last.untilMs < IN_A_ROW_MS) {
        last.untilMs = untilMs;
        last.count++;
      } else rows.push({ client, fromMs, untilMs, count: 1, why });
    }
  }
  return rows
    .sort((one, other) => one.fromMs - other.fromMs)
    .map(({ client, fromMs, untilMs, count, why }) => {
      const period = `${new Date(fromMs).toISOString().slice(11)} to ${new Date(untilMs).toISOString().slice(11)}`;
      return `${period} ${client} ${count} times: ${why.trim()}`;
    });
}

/** The counts as a table, one line a client; what an absence of the API server explains is in them. */
export function probeTable({ clients, outages }: ProbeReport): string {
  const lines = Object.entries(clients).map(([name, { asked, answered, refused, away, longestGapMs, oldestMs }]) => {
    const lease = oldestMs === 0 ? '' : `  oldest ${seconds(oldestMs)}`;
    return `${name.padEnd(26)} asked ${pad(asked)}  answered ${pad(answered)}  refused ${pad(refused.length)}  not reached ${pad(away.length)}  longest gap ${seconds(longestGapMs)}${lease}`;
  });
  const away = outages.map(({ fromMs, untilMs }) => seconds(untilMs - fromMs));
  return [...lines, `API server away ${outages.length} times: ${away.join(', ') || 'never'}`].join('\n');
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

function pad(count: number): string {
  return String(count).padStart(5);
}
