/** Goes on reading the journals of this node's components, and of those that talk to them, and reports TLS failures as they come. */
import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { components } from '../../common/names/names.ts';
import type { Clock } from '../../common/time/clock.ts';
import type { TlsObservationSchema } from '../../proto/gen/kubemtls/v1/agent_pb.js';
import type { StatusBoard } from '../report/status-board.ts';
import type { OwnCalls } from '../verify/own-calls.ts';
import { classify } from './classify.ts';
import type { Finding, Speaker } from './finding.ts';
import type { FindingLog } from './finding-log.ts';
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

/** Watches until the signal fires. */
export async function watchJournals(deps: WatchDeps, signal: AbortSignal): Promise<void> {
  const told = new Map<string, number>();
  for await (const entry of followUnits(deps.journal, Object.keys(SPEAKERS), undefined, signal)) {
    const speaker = SPEAKERS[entry.unit];
    if (speaker === undefined) continue;
    const finding = classify(speaker, entry);
    if (finding === undefined || finding.role !== 'failure' || deps.own.caused(entry.message)) continue;
    deps.findings.add({ speaker, finding, entry });
    if (isNew(told, speaker, finding, deps.clock.nowMs())) report(deps, speaker, finding, entry);
  }
}

/** Only our components have a number on the wire, and what a restart of the other side causes too is no news. */
function report({ board, observe }: WatchDeps, speaker: Speaker, finding: Finding, entry: JournalEntry): void {
  if (!components.is(speaker) || finding.transient || finding.fault === 'none') return;
  const known = board.get(speaker);
  const busy = known !== undefined && ['applying', 'verifying', 'waiting-for-permit'].includes(known.state);
  if (busy) return; // the change under way is judged by its own verification
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

function isNew(told: Map<string, number>, speaker: Speaker, finding: Finding, nowMs: number): boolean {
  const key = `${speaker} ${finding.cause} ${finding.fault} ${finding.remote}`;
  for (const [old, atMs] of told) if (nowMs - atMs > REPEAT_MS) told.delete(old);
  if (told.has(key)) return false;
  told.set(key, nowMs);
  return true;
}
