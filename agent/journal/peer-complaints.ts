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
  /** By this node's monotonic clock, milliseconds. */
  sinceMs: number;
}

const MOST_COMPLAINTS = 20;

/**
 * How long before the change a complaint at a shared address must not have been made, in milliseconds: who is turned away there by
 * another server says so again and again, a kubelet every ten seconds (its lease).
 */
const BEFORE_MS = 60_000;

/** With these the server at fault is the one that took the connection, though what it refused is the speaker's own. */
const REFUSALS: readonly Cause[] = ['unauthorized', 'refused-by-peer', 'no-client-certificate'];

/**
 * The lines that complain of the component, one for each journal, cause and address, the newest, oldest first; empty when
 * there are none.
 *
 * Only its clients complain, and they must name its address, except for the API server's own refusals (401), which name none. What a
 * server says of its callers is no complaint: any process on the component's node, or behind its address, could have called. Refused
 * connections are none either. At an address that several API servers share, and where a refusal names none, another one may be meant: there only what
 * its speaker did not say in the minute before the change counts.
 */
export function complaintsAbout(log: FindingLog, question: ComplaintQuestion): EvidenceLine[] {
  const newest = new Map<string, EvidenceLine>();
  const saidBefore = new Set<string>();
  for (const logged of log.since(question.sinceMs - BEFORE_MS)) {
    const { finding, entry, writtenMs } = logged;
    if (!isAbout(question, finding)) continue;
    const key = keyOf(logged);
    if (writtenMs < question.sinceMs) saidBefore.add(key);
    if (writtenMs < question.sinceMs || (mayBeOfAnother(question, finding) && saidBefore.has(key))) continue;
    newest.delete(key); // so that it moves to the end
    newest.set(key, evidenceLine(entry, finding.cause));
  }
  return [...newest.values()].slice(-MOST_COMPLAINTS);
}

function keyOf({ finding, entry }: LoggedFinding): string {
  return `${entry.unit} ${finding.cause} ${finding.remote}`;
}

/** True when a client's line may mean another server than the one in question. */
function mayBeOfAnother({ sharedEndpoints = [] }: ComplaintQuestion, { side, remote }: Finding): boolean {
  if (side !== 'client') return false;
  return remote === '' ? sharedEndpoints.length > 0 : sharedEndpoints.some((endpoint) => isEndpoint(endpoint, remote));
}

function isAbout(question: ComplaintQuestion, finding: Finding): boolean {
  const { role, transient, side, about, fault, cause, remote } = finding;
  if (role !== 'failure' || transient || side !== 'client' || about !== question.component) return false;
  if (fault !== 'peer-server' && !REFUSALS.includes(cause)) return false;
  return remote === ''
    ? about === 'kube-apiserver' && REFUSALS.includes(cause)
    : question.endpoints.some((endpoint) => isEndpoint(endpoint, remote));
}

/** True when an address that was called is this endpoint. */
function isEndpoint(endpoint: string, remote: string): boolean {
  const port = portOf(endpoint);
  return hostOf(endpoint) === hostOf(remote) && (port === '' || port === portOf(remote));
}
