/** Goes on reading what this node's components write, units and static pods, and reports TLS failures as they come. */
import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { type Component, type ComponentState, components } from '../../common/names/names.ts';
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
import { hostOf } from './host-port.ts';
import type { JournalEntry } from './journal-entry.ts';
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
  /** Told of every failure, but not of the same one again within a minute. */
  observe(observation: MessageInitShape<typeof TlsObservationSchema>): void;
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

const REPEAT_MS = 60_000;
const MAX_LINE = 1000;
/**
 * Whoever reaches a port can make a component complain: no more than so many different failures are told within REPEAT_MS. Those of
 * its files and of the servers that it calls, which no caller makes, are told up to twice as many, so that none crowds them out.
 */
const MOST_TOLD = 100;
/** The change under way is judged by its own verification. */
const BUSY: readonly ComponentState[] = ['applying', 'verifying'];

/** Watches until the signal fires. */
export async function watchJournals(deps: WatchDeps, signal: AbortSignal): Promise<void> {
  const told = new Map<string, number>();
  const take = (component: Component, entry: JournalEntry) => {
    const finding = classify(component, entry);
    if (finding === undefined || finding.role !== 'failure' || deps.own.caused(entry.message)) return;
    deps.findings.add({ speaker: component, finding, entry });
    if (isNews(deps, component, finding, told)) report(deps, component, finding, entry);
  };
  await runTasks(signal, [(stop) => watchUnits(deps, take, stop), (stop) => watchPods(deps, take, stop)]);
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

function report({ observe }: WatchDeps, speaker: Component, finding: Finding, entry: JournalEntry): void {
  const { cause, fault, remote } = finding;
  observe({
    component: components.toNumber(speaker),
    unit: entry.unit,
    cause,
    fault,
    remote,
    line: entry.message.slice(0, MAX_LINE),
    loggedAt: timestampFromMs(entry.realtimeMs),
  });
}

/** What a restart of the other side causes too is no news, nor is what was told a moment ago; only what is told counts as told. */
function isNews({ board, clock }: WatchDeps, speaker: Component, finding: Finding, told: Map<string, number>): boolean {
  if (finding.transient || finding.fault === 'none') return false;
  const state = board.get(speaker)?.state;
  if (state !== undefined && BUSY.includes(state)) return false;
  const nowMs = clock.nowMs();
  for (const [old, atMs] of told) if (nowMs - atMs >= REPEAT_MS) told.delete(old);
  // a caller has another port each time
  const remote = finding.side === 'server' ? hostOf(finding.remote) : finding.remote;
  const key = `${speaker} ${finding.cause} ${finding.fault} ${remote}`;
  if (told.has(key) || told.size >= (finding.side === 'server' ? MOST_TOLD : 2 * MOST_TOLD)) return false;
  told.set(key, nowMs);
  return true;
}
