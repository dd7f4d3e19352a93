/** What the components of a host wrote, from systemd's journal and from the logs of static pods, as the agent itself reads it. */

import { classify } from '../../agent/journal/classify.ts';
import type { JournalEntry } from '../../agent/journal/journal-entry.ts';
import { parseEntry } from '../../agent/journal/journal-entry.ts';
import { readLog } from '../../agent/journal/read-log.ts';
import { strangersLines } from '../../agent/journal/strangers-lines.ts';
import { silentLog } from '../../common/log/log.ts';
import type { Component } from '../../common/names/names.ts';
import { systemClock } from '../../common/time/clock.ts';
import type { Host } from './host.ts';

/** How a component runs on a host. */
export type Runs = { unit: string } | { pod: string; container: string };

/** A line that was taken for a failure. */
export interface Alarm {
  component: Component;
  cause: string;
  line: string;
}

/** Lines since a moment (ms since the epoch), and those among them that the agent would take for a failure. */
export async function alarmsOf(
  host: Host,
  component: Component,
  runs: Runs,
  sinceMs: number,
): Promise<{ lines: number; alarms: Alarm[] }> {
  const entries = 'unit' in runs ? await journalOf(host, runs.unit, sinceMs) : await logOf(host, runs, sinceMs);
  const alarms = entries.flatMap((entry) => {
    const finding = classify(component, entry);
    return finding?.role === 'failure' ? [{ component, cause: finding.cause, line: entry.message.slice(0, 300) }] : [];
  });
  return { lines: entries.length, alarms };
}

async function journalOf(host: Host, unit: string, sinceMs: number): Promise<JournalEntry[]> {
  const text = await host.sh(
    `journalctl --sync; journalctl --no-pager --quiet --all -o json -u ${unit} --since @${Math.ceil(sinceMs / 1000)}`,
  );
  const isStrangers = strangersLines();
  return text
    .split('\n')
    .flatMap((line) => parseEntry(line) ?? [])
    .filter((entry) => !isStrangers(entry));
}

/** The log of a container lies on the host's disk, which this machine sees. */
function logOf(host: Host, { pod, container }: { pod: string; container: string }, sinceMs: number) {
  const process = { kind: 'static-pod' as const, pod, namespace: 'kube-system', container, manifest: '/none' };
  const deps = {
    spawn: () => {
      throw new Error('the log of a container is no journal');
    },
    ...{ clock: systemClock, log: silentLog, podLogs: `${host.root}/var/log/pods` },
  };
  return readLog(deps, process, { cursor: '', startedAtMs: sinceMs, signal: new AbortController().signal });
}
