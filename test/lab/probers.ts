/** Clients of a cluster's API server of every kind, calling five times a second while a cluster is changed; see probe-clients.ts. */
import assert from 'node:assert/strict';
import { Beside } from './beside.ts';
import type { Host } from './host.ts';
import type { Missed, ProbeReport, Span } from './probe-clients.ts';
import { restartWindows } from './restart-windows.ts';

/** What is called. */
export interface ProbersOptions {
  /** Host of the control plane. */
  controlPlane: Host;
  /** Host with the kubelet whose lease and logs are asked for. */
  worker: Host;
  /** Path at the API server that leads to that kubelet. */
  logPath: string;
}

/** Starts them. */
export function startProbers({ controlPlane, worker, logPath }: ProbersOptions): Beside<ProbeReport> {
  const endpoint = `https://${controlPlane.ip}:6443`;
  const words = [controlPlane.root, endpoint, worker.name, logPath, worker.root];
  return Beside.start(controlPlane, 'probe-clients.ts', words);
}

const MARGIN_MS = 1000;
/**
 * What the API server says of an etcd that ends its connections as it stops, over TLS without waiting for calls under way, or that is
 * not back yet. It asks again only after some of these, and /readyz mostly just takes longer meanwhile.
 */
const OF_ETCD = /^5\d\d .*"message":"(?:rpc error: code = (?:Unavailable|Unknown|Internal) desc = |etcdserver: )/s;

/** What no absence of the API server explains: while one restarts, anything may be said for a moment. */
function outside(seen: readonly Missed[], absences: readonly Span[]): Missed[] {
  return seen.filter(
    (missed) =>
      !absences.some(
        ({ fromMs, untilMs }) => missed.untilMs >= fromMs - MARGIN_MS && missed.fromMs <= untilMs + MARGIN_MS,
      ),
  );
}

/** Asserts that every client was answered often enough, and that none was refused, nor missed the API server, while it was there. */
export async function assertServed(report: ProbeReport, hosts: readonly Host[], atLeast: number): Promise<void> {
  const { outages } = report;
  const etcd = await restartWindows(hosts, 'etcd');
  const kubelet = await restartWindows(hosts, 'kubelet');
  for (const [client, { refused, away, answered }] of Object.entries(report.clients)) {
    assert.ok(answered > atLeast, `${client} was answered ${answered} times: too few to prove anything`);
    assert.deepEqual(outside(refused, outages), [], `${client} was refused`);
    const missed = outside(away, outages).filter((each) => {
      // the logs come from the kubelet through the API server
      if (client === 'kubelet logs') return outside([each], [...etcd, ...kubelet]).length > 0;
      return !OF_ETCD.test(each.why) || outside([each], etcd).length > 0;
    });
    const seen = `outages ${JSON.stringify(outages)}, changes of etcd ${JSON.stringify(etcd)}`;
    assert.deepEqual(missed, [], `${client} did not reach a ready API server; ${seen}`);
  }
}

/** The counts as a table, one line a client. */
export function probeTable({ clients, outages }: ProbeReport): string {
  const lines = Object.entries(clients).map(([name, { asked, answered, refused, away, oldestMs }]) => {
    const [refusedOutside, awayOutside] = [outside(refused, outages).length, outside(away, outages).length];
    const during = refused.length + away.length - refusedOutside - awayOutside;
    const lease = oldestMs === 0 ? '' : `  longest time between renewals ${(oldestMs / 1000).toFixed(1)} s`;
    return `${name.padEnd(26)} asked ${pad(asked)}  answered ${pad(answered)}  refused ${pad(refusedOutside)}  not reached ${pad(awayOutside)}  during restarts ${pad(during)}${lease}`;
  });
  const away = outages.map(({ fromMs, untilMs }) => `${((untilMs - fromMs) / 1000).toFixed(1)} s`);
  return [...lines, `API server away ${outages.length} times: ${away.join(', ') || 'never'}`].join('\n');
}

function pad(count: number): string {
  return String(count).padStart(5);
}
