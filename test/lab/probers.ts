/** Clients of a cluster's API server of every kind, calling five times a second while a cluster is changed; see probe-clients.ts. */
import assert from 'node:assert/strict';
import { Beside } from './beside.ts';
import type { Cluster } from './clusters.ts';
import type { Host } from './host.ts';
import type { ProbeCount, ProbeReport } from './probe-clients.ts';
import { restartWindows } from './restart-windows.ts';

/** Starts them; they call by the cluster's endpoint. */
export function startProbers({ controlPlane, endpoint, kubelet, logPath }: Cluster): Beside<ProbeReport> {
  const words = [controlPlane.root, `https://${endpoint}`, kubelet.name, logPath, kubelet.root];
  return Beside.start(controlPlane, 'probe-clients.ts', words);
}

/**
 * What the API server says when its etcd ended a call as it stopped: over TLS etcd waits for none (both texts were seen within 26 ms of
 * the stop of a single member; /readyz mostly waits and answers 200).
 */
const CUT_BY_ETCD = /^500 .*"message":"rpc error: code = (?:Unknown|Internal) desc = /s;

/** Calls five times a second, each with its own time to wait for an answer. */
const IN_A_ROW_MS = 4000;

/** What no absence of the API server explains: while one restarts, anything may be said for a moment. */
export function outside(seen: ProbeCount['refused'], outages: ProbeReport['outages']): ProbeCount['refused'] {
  const MARGIN_MS = 1000;
  return seen.filter(
    ({ atMs }) => !outages.some(({ fromMs, untilMs }) => atMs >= fromMs - MARGIN_MS && atMs <= untilMs + MARGIN_MS),
  );
}

/**
 * Asserts that every client was answered often enough, and that none was refused, nor missed the API server, while it was there. The
 * logs come from the kubelet: it may be missed while it or etcd was being restarted, as the agents' own journals tell.
 */
export async function assertServed(report: ProbeReport, hosts: readonly Host[], atLeast: number): Promise<void> {
  const { outages } = report;
  const etcd = await restartWindows(hosts, 'etcd');
  const behind = [...etcd, ...(await restartWindows(hosts, 'kubelet'))];
  const stops = etcd.map(({ fromMs, restartedMs }) => ({ fromMs, untilMs: restartedMs }));
  for (const [client, { refused, away, answered }] of Object.entries(report.clients)) {
    assert.ok(answered > atLeast, `${client} was answered ${answered} times: too few to prove anything`);
    assert.deepEqual(outside(refused, outages), [], `${client} was refused`);
    const missed = outside(away, client === 'kubelet logs' ? [...outages, ...behind] : outages).filter(
      (each) => !CUT_BY_ETCD.test(each.why) || outside([each], stops).length > 0,
    );
    const when = `outages ${JSON.stringify(outages)}, restarts of etcd ${JSON.stringify(stops)}`;
    assert.deepEqual(missed, [], `${client} did not reach a ready API server; ${when}`);
  }
}

/**
 * Asserts that every client was answered often enough, and that none was refused at any time: behind a load balancer that asks for
 * readiness no absence explains a refusal.
 */
export function assertNeverRefused({ clients }: ProbeReport, atLeast: number): void {
  for (const [client, { refused, answered }] of Object.entries(clients)) {
    assert.ok(answered > atLeast, `${client} was answered ${answered} times: too few to prove anything`);
    assert.deepEqual(refused, [], `${client} was refused`);
  }
}

/** The calls that reached nobody who was ready: who, when, how many in a row, and why; one line for those in a row that met the same. */
export function notReached({ clients }: ProbeReport): string[] {
  const rows: { client: string; fromMs: number; untilMs: number; count: number; why: string }[] = [];
  for (const [client, { away }] of Object.entries(clients)) {
    for (const { atMs, why } of away) {
      const last = rows.at(-1);
      if (last?.client === client && last.why === why && atMs - last.untilMs < IN_A_ROW_MS) {
        last.untilMs = atMs;
        last.count++;
      } else rows.push({ client, fromMs: atMs, untilMs: atMs, count: 1, why });
    }
  }
  return rows
    .sort((one, other) => one.fromMs - other.fromMs)
    .map(({ client, fromMs, untilMs, count, why }) => {
      const period = `${new Date(fromMs).toISOString().slice(11)} to ${new Date(untilMs).toISOString().slice(11)}`;
      return `${period} ${client} ${count} times: ${why.trim()}`;
    });
}

/** The counts as a table, one line a client. */
export function probeTable({ clients, outages }: ProbeReport): string {
  const lines = Object.entries(clients).map(([name, { asked, answered, refused, away, longestGapMs, oldestMs }]) => {
    const [refusedOutside, awayOutside] = [outside(refused, outages).length, outside(away, outages).length];
    const during = refused.length + away.length - refusedOutside - awayOutside;
    const lease = oldestMs === 0 ? '' : `  longest time between renewals ${seconds(oldestMs)}`;
    return `${name.padEnd(26)} asked ${pad(asked)}  answered ${pad(answered)}  refused ${pad(refusedOutside)}  not reached ${pad(awayOutside)}  during restarts ${pad(during)}  longest gap ${seconds(longestGapMs)}${lease}`;
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
