/** Goes on reading what this node's components write, units and static pods, and reports TLS failures as they come. */
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Component, ComponentState } from '../../common/names/names.ts';
import { runTasks } from '../../common/run/run-tasks.ts';
import type { Clock } from '../../common/time/clock.ts';
import type { TlsObservationSchema } from '../../proto/gen/kubemtls/v1/agent_pb.js';
import type { ProcessRef } from '../process/process-ref.ts';
import type { StatusBoard } from '../report/status-board.ts';
import type { OwnCalls } from '../verify/own-calls.ts';
import { classify } from './classify.ts';
import type { Finding } from './finding.ts';
import type { FindingLog } from './finding-log.ts';
import { followPodLogs, POLL_MS } from './follow-pod-logs.ts';
import type { JournalEntry } from './journal-entry.ts';
import { COUNT_MS, Observations } from './observations.ts';
import { followUnits, type ReadJournalDeps } from './read-journal.ts';

/** A component and what runs it. */
export interface WatchedProcess {
  component: Component;
  process: ProcessRef;
}

/** Dependencies. */
export interface WatchDeps {
  journal: ReadJournalDeps;
  clock: Clock;
  /** Folder of the pods' logs, by default /var/log/pods. */
  podLogs?: string;
  /** What runs here, as of the last look at the node: asked again and again. */
  processes(): readonly WatchedProcess[];
  findings: FindingLog;
  board: StatusBoard;
  /** Our own probes: what a component says of them is no news. */
  own: OwnCalls;
  /** Told of every failure that is new, and each minute how often those that go on were written. */
  observe(observation: MessageInitShape<typeof TlsObservationSchema>): void;
  /** Told of every component that writes of a failure: a line proves nothing, so the component is to be proved anew. */
  doubt(component: Component): void;
}

/** Units that are read whether they were found or not; those that are not on the node write nothing. */
const USUAL_UNITS: readonly (readonly [unit: string, component: Component])[] = [
  ['etcd.service', 'etcd'],
  ['kube-apiserver.service', 'kube-apiserver'],
  ['kube-controller-manager.service', 'kube-controller-manager'],
  ['kube-scheduler.service', 'kube-scheduler'],
  ['kubelet.service', 'kubelet'],
  ['kube-proxy.service', 'kube-proxy'],
];

/** The change under way is judged by its own verification. */
const BUSY: readonly ComponentState[] = ['applying', 'verifying'];

/** Watches until the signal fires. */
export async function watchJournals(deps: WatchDeps, signal: AbortSignal): Promise<void> {
  const observations = new Observations(deps.observe);
  const take = (component: Component, entry: JournalEntry) => {
    const finding = classify(component, entry);
    if (finding === undefined || finding.role !== 'failure' || deps.own.caused(entry.message)) return;
    deps.findings.add({ speaker: component, finding, entry });
    // of a server's callers, since what a component says of itself is never ours
    if (finding.side === 'server' && deps.own.mayHaveCaused(entry.message, entry.realtimeMs)) return;
    if (!isNews(deps, component, finding)) return;
    observations.add(component, finding, entry);
    deps.doubt(component);
  };
  await runTasks(signal, [
    (stop) => watchUnits(deps, take, stop),
    (stop) => watchPods(deps, take, stop),
    (stop) => flushEachMinute(deps.clock, observations, stop),
  ]);
}

/** What to do with an entry that a component wrote. */
type Take = (component: Component, entry: JournalEntry) => void;

async function watchPods(deps: WatchDeps, take: Take, signal: AbortSignal): Promise<void> {
  const { podLogs } = deps;
  const { clock, log } = deps.journal;
  const pods = () =>
    deps
      .processes()
      .flatMap(({ component, process }) => (process.kind === 'static-pod' ? [{ component, ...process }] : []));
  const follow = { clock, log, ...(podLogs === undefined ? {} : { podLogs }) };
  for await (const { container, entry } of followPodLogs(follow, pods, signal)) take(container.component, entry);
}

async function watchUnits(deps: WatchDeps, take: Take, signal: AbortSignal): Promise<void> {
  let last: string | undefined;
  const stopping = new Set<string>();
  while (!signal.aborted) {
    const units = unitsOf(deps);
    const changed = new AbortController();
    const until = AbortSignal.any([signal, changed.signal]);
    const asking = abortWhenChanged(deps, units, changed, until);
    for await (const entry of followUnits(deps.journal, [...units.keys()], last, until)) {
      last = entry.cursor;
      const component = units.get(entry.unit);
      if (component !== undefined && !isOfStop(entry, stopping)) take(component, entry);
    }
    changed.abort();
    await asking;
  }
}

/**
 * True for what systemd says of a unit between its "Stopping" and its "Stopped": that its process ends is what somebody wants
 * then, whatever the status.
 */
function isOfStop({ fromSystemd, message, unit }: JournalEntry, stopping: Set<string>): boolean {
  if (!fromSystemd) return false;
  if (message.startsWith('Stopping ')) stopping.add(unit);
  if (/^(?:Stopped|Starting|Started) /.test(message)) stopping.delete(unit);
  return stopping.has(unit);
}

/** Ends the reading when a unit of another name was found: journalctl has to be told of it. */
async function abortWhenChanged(
  deps: WatchDeps,
  units: ReadonlyMap<string, Component>,
  changed: AbortController,
  signal: AbortSignal,
): Promise<void> {
  try {
    for (;;) {
      await deps.clock.sleep(POLL_MS, signal);
      const now = unitsOf(deps);
      if (now.size !== units.size || [...now].some(([unit, component]) => units.get(unit) !== component)) {
        changed.abort();
      }
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

/** The usual units, and those that were found under other names. */
function unitsOf(deps: WatchDeps): Map<string, Component> {
  const found = deps
    .processes()
    .flatMap(({ component, process }) => (process.kind === 'unit' ? [[process.unit, component] as const] : []));
  return new Map([...USUAL_UNITS, ...found]);
}

/** What a restart of the other side causes too is no news, nor is what a change under way causes. */
function isNews({ board }: WatchDeps, speaker: Component, finding: Finding): boolean {
  if (finding.transient || finding.fault === 'none') return false;
  const state = board.get(speaker)?.state;
  return state === undefined || !BUSY.includes(state);
}

/** Tells what was counted, every COUNT_MS. */
async function flushEachMinute(clock: Clock, observations: Observations, signal: AbortSignal): Promise<void> {
  try {
    for (;;) {
      await clock.sleep(COUNT_MS, signal);
      observations.flush();
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
