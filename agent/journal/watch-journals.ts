/** Goes on reading the journals of this node's components, and of those that talk to them, and reports TLS failures as they come. */
import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { type Component, type ComponentState, components } from '../../common/names/names.ts';
import type { Clock } from '../../common/time/clock.ts';
import type { TlsObservationSchema } from '../../proto/gen/kubemtls/v1/agent_pb.js';
import type { StatusBoard } from '../report/status-board.ts';
import type { OwnCalls } from '../verify/own-calls.ts';
import { classify } from './classify.ts';
import type { Finding, Speaker } from './finding.ts';
import type { FindingLog } from './finding-log.ts';
import { hostOf } from './host-port.ts';
import type { JournalEntry } from './journal-entry.ts';
import { followUnits, type ReadJournalDeps } from './read-journal.ts';

/** Dependencies. */
export interface WatchDeps {
  journal: ReadJournalDeps;
  clock: Clock;
  findings: FindingLog;
  board: StatusBoard;
  /** Our own probes: what a component says of them is no news. */
  own: OwnCalls;
  /** Told of every failure, but not of the same one again within a minute. */
  observe(observation: MessageInitShape<typeof TlsObservationSchema>): void;
}

/** Units whose word counts; those that are not on the node write nothing. */
const SPEAKERS: Record<string, Speaker> = {
  'etcd.service': 'etcd',
  'kube-apiserver.service': 'kube-apiserver',
  'kubelet.service': 'kubelet',
  'kube-controller-manager.service': 'kube-controller-manager',
  'kube-scheduler.service': 'kube-scheduler',
};

const REPEAT_MS = 60_000;
const MAX_LINE = 1000;
/** Whoever reaches a port can make a component complain: no more than so many different failures are told within REPEAT_MS. */
const MOST_TOLD = 100;
/** The change under way is judged by its own verification. */
const BUSY: readonly ComponentState[] = ['applying', 'verifying'];

/** Watches until the signal fires. */
export async function watchJournals(deps: WatchDeps, signal: AbortSignal): Promise<void> {
  const told = new Map<string, number>();
  for await (const entry of followUnits(deps.journal, Object.keys(SPEAKERS), undefined, signal)) {
    const speaker = SPEAKERS[entry.unit];
    if (speaker === undefined) continue;
    const finding = classify(speaker, entry);
    if (finding === undefined || finding.role !== 'failure' || deps.own.caused(entry.message)) continue;
    deps.findings.add({ speaker, finding, entry });
    // only our components have a number on the wire
    if (components.is(speaker) && isNews(deps, speaker, finding, told)) report(deps, speaker, finding, entry);
  }
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
  if (told.has(key) || told.size >= MOST_TOLD) return false;
  told.set(key, nowMs);
  return true;
}
