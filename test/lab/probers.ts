/** Clients of a cluster's API server of every kind, calling five times a second while a cluster is changed; see probe-clients.ts. */
import assert from 'node:assert/strict';
import { Beside } from './beside.ts';
import type { Host } from './host.ts';
import type { ProbeCount, ProbeReport } from './probe-clients.ts';
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

/**
 * What the API server says when its etcd ended a call as it stopped: over TLS etcd waits for none (both texts were seen within 26 ms of
 * the stop of a single member; /readyz mostly waits and answers 200).
 */
const CUT_BY_ETCD = /^500 .*"message":"rpc error: code = (?:Unknown|Internal) desc = /s;

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
