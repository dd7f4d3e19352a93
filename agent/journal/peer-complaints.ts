/** What this node's journals say against a component on another node. */
import type { Component } from '../../common/names/names.ts';
import type { EvidenceLine } from '../verify/checks.ts';
import { evidenceLine } from './evidence-line.ts';
import type { Cause, Finding } from './finding.ts';
import type { FindingLog } from './finding-log.ts';
import { hostOf, portOf } from './host-port.ts';

/** A question about a component that changed. */
export interface ComplaintQuestion {
  component: Component;
  /** "host:port" or names at which it serves; without a port every port counts. */
  endpoints: readonly string[];
  /** Milliseconds since the epoch, by this node's clock. */
  sinceMs: number;
}

const MOST_COMPLAINTS = 20;

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
 * none either.
 */
export function complaintsAbout(log: FindingLog, question: ComplaintQuestion): EvidenceLine[] {
  const newest = new Map<string, EvidenceLine>();
  for (const { speaker, finding, entry } of log.since(question.sinceMs)) {
    if (!isAbout(question, speaker, finding)) continue;
    const key = `${entry.unit} ${finding.cause} ${finding.side === 'server' ? hostOf(finding.remote) : finding.remote}`;
    newest.delete(key); // so that it moves to the end
    newest.set(key, evidenceLine(entry, finding.cause));
  }
  return [...newest.values()].slice(-MOST_COMPLAINTS);
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
