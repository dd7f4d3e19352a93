/** When the processes of a component were being changed, as the agents' own journals tell. */
import assert from 'node:assert/strict';
import type { Component } from '../../common/names/names.ts';
import type { Host } from './host.ts';

/** Milliseconds since the epoch. */
export interface RestartWindow {
  /** When its change was applied. */
  fromMs: number;
  /** When its new process ran. */
  restartedMs: number;
  untilMs: number;
}

interface LogLine {
  at?: string;
  message?: string;
  changeId?: string;
  component?: string;
}

/**
 * From the moment that a change was applied until it was kept or undone, and as long once more as its component was away: clients
 * that met nobody wait longer from attempt to attempt (gRPC backs off by 1.6 each time), so that they may miss who is back.
 */
export async function restartWindows(hosts: readonly Host[], component: Component): Promise<RestartWindow[]> {
  const windows: RestartWindow[] = [];
  for (const host of hosts) {
    for (const lines of await changesOf(host)) {
      const atMs = (told: (line: LogLine) => boolean) => Date.parse(lines.find(told)?.at ?? '');
      const restartedMs = atMs((line) => line.message === 'unit restarted' && line.component === component);
      if (Number.isNaN(restartedMs)) continue;
      const fromMs = atMs(isApplied);
      const endMs = atMs(isEnded);
      assert.ok(fromMs <= restartedMs && restartedMs <= endMs, `${host.name} logged no whole change of ${component}`);
      windows.push({ fromMs, restartedMs, untilMs: endMs + (restartedMs - fromMs) });
    }
  }
  return windows;
}

/** The log of each change, once none is under way: that one would have no end yet. */
function changesOf(host: Host): Promise<LogLine[][]> {
  const read = async () => {
    const journal = await host.sh('journalctl --sync; journalctl --no-pager -q -o cat -u kube-mtls-agent');
    const changes = [...Map.groupBy(journal.split('\n').map(parseLine), ({ changeId = '' }) => changeId).values()];
    const areEnded = changes.every((lines) => !lines.some(isApplied) || lines.some(isEnded));
    return areEnded && changes;
  };
  return host.until('no change to be under way', read, 300_000);
}

const isApplied = ({ message }: LogLine) => message === 'change applied';
const isEnded = ({ message = '' }: LogLine) => ['change kept', 'change undone'].includes(message);

function parseLine(line: string): LogLine {
  return line.startsWith('{') ? (JSON.parse(line) as LogLine) : {}; // our own log; systemd's lines are none
}
