/** What the components of a host wrote, from systemd's journal and from the logs of static pods, as the agent itself reads it. */
import { once } from 'node:events';
import { createInterface } from 'node:readline';
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

/** A host as it is read from. */
type ReadHost = Pick<Host, 'name' | 'root' | 'sh' | 'spawnBeside'>;

/**
 * Lines since a moment (ms since the epoch), and those among them that the agent would take for a failure. A journal is read line by
 * line: how much a component writes does not matter.
 *
 * @throws Error when journalctl fails
 */
export async function alarmsOf(
  host: ReadHost,
  component: Component,
  runs: Runs,
  sinceMs: number,
): Promise<{ lines: number; alarms: Alarm[] }> {
  const entries = 'unit' in runs ? journalOf(host, runs.unit, sinceMs) : await logOf(host, runs, sinceMs);
  const alarms: Alarm[] = [];
  let lines = 0;
  for await (const entry of entries) {
    lines++;
    const finding = classify(component, entry);
    if (finding?.role !== 'failure') continue;
    alarms.push({ component, cause: finding.cause, line: entry.message.slice(0, 300) });
  }
  return { lines, alarms };
}

async function* journalOf(host: ReadHost, unit: string, sinceMs: number): AsyncGenerator<JournalEntry> {
  await host.sh('journalctl --sync');
  const since = ['--unit', unit, '--since', `@${Math.ceil(sinceMs / 1000)}`];
  const isStrangers = strangersLines();
  for await (const line of linesOf(host, ['journalctl', '--no-pager', '--quiet', '--all', '-o', 'json', ...since])) {
    const entry = parseEntry(line);
    if (entry !== undefined && !isStrangers(entry)) yield entry;
  }
}

/** The lines that a program of the host prints. */
async function* linesOf(host: ReadHost, argv: readonly string[]): AsyncGenerator<string> {
  const leader = host.root.split('/')[2] ?? ''; // /proc/PID/root
  const child = host.spawnBeside(['nsenter', '-t', leader, '-a', ...argv]);
  if (child.stdout === null) throw new Error(`${argv.join(' ')} has no output`);
  const ended = once(child, 'close');
  child.stdin?.end();
  try {
    yield* createInterface({ input: child.stdout });
    const [code] = await ended;
    if (code !== 0) throw new Error(`on ${host.name}: ${argv.join(' ')} ended with status ${code}`);
  } finally {
    child.kill();
  }
}

/** The log of a container lies on the host's disk, which this machine sees. */
function logOf(host: Pick<Host, 'root'>, { pod, container }: { pod: string; container: string }, sinceMs: number) {
  const process = { kind: 'static-pod' as const, pod, namespace: 'kube-system', container, manifest: '/none' };
  const deps = {
    spawn: () => {
      throw new Error('the log of a container is no journal');
    },
    ...{ clock: systemClock, log: silentLog, podLogs: `${host.root}/var/log/pods` },
  };
  return readLog(deps, process, { cursor: '', startedAtMs: sinceMs, signal: new AbortController().signal });
}
