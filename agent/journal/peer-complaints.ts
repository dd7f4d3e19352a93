/** What this node's journals say against a component on another node. */
import type { Component } from '../../common/names/names.ts';
import type { EvidenceLine } from '../verify/checks.ts';
import { evidenceLine } from './evidence-line.ts';
import type { Cause, Finding } from './finding.ts';
import type { FindingLog, LoggedFinding } from './finding-log.ts';
import { hostOf, portOf } from './host-port.ts';

/** A question about a component that changed. */
export interface ComplaintQuestion {
  component: Component;
  /** "host:port" or names at which it serves; without a port every port counts. */
  endpoints: readonly string[];
  /** Those of the endpoints at which another server may answer too; none unless given. */
  sharedEndpoints?: readonly string[];
  /** Milliseconds since the epoch, by this node's clock. */
  sinceMs: number;
}

const MOST_COMPLAINTS = 20;

/**
 * How long before the change a complaint at a shared address must not have been made, in milliseconds: who is turned away there by
 * another server says so again and again, a kubelet every ten seconds (its lease).
 */
const BEFORE_MS = 60_000;

/** On whose servers a component is a client, so that they can complain of its client certificate and its trust. */
const SERVERS_CALLED_BY: Record<Component, readonly Component[]> = {
  etcd: ['etcd'],
  'kube-apiserver': ['etcd', 'kubelet'],
  'kube-controller-manager': ['kube-apiserver'],
  'kube-scheduler': ['kube-apiserver'],
  kubelet: ['kube-apiserver'],
  'kube-proxy': ['kube-apiserver'],
  admin: [], // people call from anywhere
};

/** With these the server at fault is the one that took the connection, though what it refused is the speaker's own. */
const REFUSALS: readonly Cause[] = ['unauthorized', 'refused-by-peer', 'no-client-certificate'];

/**
 * The lines that complain of the component, one for each journal, cause and address, the newest, oldest first; empty when
 * there are none.
 *
 * Speakers that call it must name its address, except for the API server's own refusals (401), which name none. Speakers
 * that are called by it must name one of its hosts. What names no address and could be anybody's (a client certificate that an API server
 * or a kubelet cannot authenticate) is no complaint: whoever reaches the port could write it. Refused connections are
 * none either. At an address that several API servers share, and where a refusal names none, another one may be meant: there only what
 * its speaker did not say in the minute before the change counts.
 */
export function complaintsAbout(log: FindingLog, question: ComplaintQuestion): EvidenceLine[] {
  const newest = new Map<string, EvidenceLine>();
  const saidBefore = new Set<string>();
  for (const logged of log.since(question.sinceMs - BEFORE_MS)) {
    const { speaker, finding, entry } = logged;
    if (!isAbout(question, speaker, finding)) continue;
    const key = keyOf(logged);
    if (entry.realtimeMs < question.sinceMs) saidBefore.add(key);
    if (entry.realtimeMs < question.sinceMs || (mayBeOfAnother(question, finding) && saidBefore.has(key))) continue;
    newest.delete(key); // so that it moves to the end
    newest.set(key, evidenceLine(entry, finding.cause));
  }
  return [...newest.values()].slice(-MOST_COMPLAINTS);
}

function keyOf({ finding, entry }: LoggedFinding): string {
  return `${entry.unit} ${finding.cause} ${finding.side === 'server' ? hostOf(finding.remote) : finding.remote}`;
}

/** True when a client's line may mean another server than the one in question. */
function mayBeOfAnother({ sharedEndpoints = [] }: ComplaintQuestion, { side, remote }: Finding): boolean {
  if (side !== 'client') return false;
  return remote === '' ? sharedEndpoints.length > 0 : sharedEndpoints.some((endpoint) => isEndpoint(endpoint, remote));
}

function isAbout(question: ComplaintQuestion, speaker: Component, finding: Finding): boolean {
  if (finding.role !== 'failure' || finding.transient) return false;
  if (finding.side === 'client') {
    if (finding.about !== question.component) return false;
    if (finding.fault !== 'peer-server' && !REFUSALS.includes(finding.cause)) return false;
    return finding.remote === ''
      ? finding.about === 'kube-apiserver' && REFUSALS.includes(finding.cause)
      : question.endpoints.some((endpoint) => isEndpoint(endpoint, finding.remote));
  }
  if (finding.side === 'server') {
    if (!SERVERS_CALLED_BY[question.component].includes(speaker) || finding.remote === '') return false;
    // an etcd of 3.5.15 and later says at which port: members come to the peer port, API servers to the other
    if (speaker === 'etcd' && finding.about === 'etcd' && question.component !== 'etcd') return false;
    const host = hostOf(finding.remote);
    return question.endpoints.some((endpoint) => hostOf(endpoint) === host);
  }
  return false;
}

/** True when an address that was called is this endpoint. */
function isEndpoint(endpoint: string, remote: string): boolean {
  const port = portOf(endpoint);
  return hostOf(endpoint) === hostOf(remote) && (port === '' || port === portOf(remote));
}
