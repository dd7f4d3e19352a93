/** When the processes of a component were being changed, as the agents' own journals tell. */
import assert from 'node:assert/strict';
import type { Component } from '../../common/names/names.ts';
import type { Host } from './host.ts';
import type { Span } from './probe-clients.ts';

/**
 * A planned restart: from the moment that its change was applied until it was kept or undone, and as long once more as its component was
 * away, since clients that met nobody wait longer from attempt to attempt (gRPC backs off by 1.6 each time).
 */
export interface RestartWindow extends Span {
  /** When its new process ran. */
  restartedMs: number;
}

/** The planned restarts of the components that clients of an API server meet. */
export interface Restarts {
  apiServer: RestartWindow[];
  etcd: RestartWindow[];
  kubelet: RestartWindow[];
}

interface LogLine {
  at?: string;
  message?: string;
  changeId?: string;
  component?: string;
}

/** All of them, once no change is under way: that one would have no end yet. */
export async function restartsOf(hosts: readonly Host[]): Promise<Restarts> {
  const all: Restarts = { apiServer: [], etcd: [], kubelet: [] };
  for (const host of hosts) {
    const journal = await host.until('no change to be under way', () => endedJournal(host), 300_000);
    all.apiServer.push(...restartWindows(journal, 'kube-apiserver'));
    all.etcd.push(...restartWindows(journal, 'etcd'));
    all.kubelet.push(...restartWindows(journal, 'kubelet'));
  }
  return all;
}

/**
 * The restarts of a component that an agent logged, one for each process.
 *
 * @throws AssertionError for a change without its beginning or its end
 */
export function restartWindows(journal: string, component: Component): RestartWindow[] {
  return changesIn(journal).flatMap((lines) => {
    const atMs = (told: (line: LogLine) => boolean) => Date.parse(lines.find(told)?.at ?? '');
    const restarts = lines.filter((line) => line.message === 'unit restarted' && line.component === component);
    return restarts.map(({ at = '', changeId }) => {
      const [fromMs, restartedMs, endMs] = [atMs(isApplied), Date.parse(at), atMs(isEnded)];
      assert.ok(fromMs <= restartedMs && restartedMs <= endMs, `${changeId} is no whole change of ${component}`);
      return { fromMs, restartedMs, untilMs: endMs + (restartedMs - fromMs) };
    });
  });
}

async function endedJournal(host: Host): Promise<string | undefined> {
  const journal = await host.sh('journalctl --sync; journalctl --no-pager -q -o cat -u kube-mtls-agent');
  const areEnded = changesIn(journal).every((lines) => !lines.some(isApplied) || lines.some(isEnded));
  return areEnded ? journal : undefined;
}

/** The lines of each change. */
function changesIn(journal: string): LogLine[][] {
  const lines = journal.split('\n').map(parseLine);
  return [...Map.groupBy(lines, ({ changeId = '' }) => changeId).values()];
}

const isApplied = ({ message }: LogLine) => message === 'change applied';
const isEnded = ({ message = '' }: LogLine) => ['change kept', 'change undone'].includes(message);

function parseLine(line: string): LogLine {
  return line.startsWith('{') ? (JSON.parse(line) as LogLine) : {}; // our own log; systemd's lines are none
}
