/** The peers' word on a component that changed: this node's own other components first, then the agents of the other nodes. */
import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { AppError } from '../../common/errors/app-error.ts';
import { type Component, components } from '../../common/names/names.ts';
import { Backoff } from '../../common/time/backoff.ts';
import type { CheckPeersRequestSchema, CheckPeersResponse } from '../../proto/gen/kubemtls/v1/agent_pb.js';
import type { FindingLog } from '../journal/finding-log.ts';
import { complaintsAbout } from '../journal/peer-complaints.ts';
import type { ServerLink } from '../link/server-link.ts';
import { checkOutcome } from '../report/status-message.ts';
import type { LiveDeps } from './check-handshake.ts';
import type { CheckOutcome, EvidenceLine } from './checks.ts';
import type { OwnCalls } from './own-calls.ts';

/** What the peers are asked about. */
export interface PeersSubject {
  component: Component;
  /** "host:port", as peers write them. */
  endpoints: string[];
  /** Those of them at which another server may answer too. */
  sharedEndpoints: string[];
  /** Serial of the serving certificate; '' where it is not ours and nobody knows it. */
  serial: string;
  /** When the new process started, by this node's monotonic clock, milliseconds. */
  sinceMs: number;
  permitId: string;
}

/** Dependencies. */
export interface PeersDeps extends LiveDeps {
  link: ServerLink;
  findings: FindingLog;
  /** Our own probes: what a component says of them is no complaint. */
  own: OwnCalls;
  /** This node's monotonic clock less the server's time, in milliseconds. */
  offsetMs(): number;
}

/** The server waits for the peers as long as it settles; this is the most that one call may take, and the longest that calls are repeated. */
const DEADLINE_MS = 120_000;

/** A component that does not trust another says so again within this time: a kubelet renews its lease every ten seconds. */
const ASK_AGAIN_MS = 15_000;

/**
 * Asks, and waits for the answer; a server that restarts meanwhile is asked again. Without its word nothing is confirmed: an error
 * of the call is a failed check.
 *
 * @throws AbortError when the signal fires
 */
export async function askPeers(deps: PeersDeps, subject: PeersSubject, signal: AbortSignal): Promise<CheckOutcome> {
  const { component, endpoints, sinceMs, serial, permitId } = subject;
  let remote: CheckOutcome | undefined;
  try {
    const since = timestampFromMs(sinceMs - deps.offsetMs());
    const request = { permitId, component: components.toNumber(component), endpoints, since, serial };
    const response = await askServer(deps, request, signal);
    remote = response.check === undefined ? undefined : checkOutcome(response.check);
  } catch (error) {
    signal.throwIfAborted();
    return failed(`the server could not ask the peers: ${AppError.from(error).message}`);
  }
  if (remote === undefined) return failed('the server answered without a check of the peers');
  // after the wait: the components of this node had their time to complain too
  const complaints = await lastingComplaints(deps, subject, signal);
  if (complaints.length === 0) return remote;
  return {
    kind: 'peers',
    result: 'failed',
    summary: `components on this node complain about ${component}: ${complaints[0]?.cause}`,
    evidence: [...complaints, ...remote.evidence],
  };
}

/** What the components of this node complain of, and again after ASK_AGAIN_MS: what was said once may be over. */
async function lastingComplaints(
  { clock, findings, own }: PeersDeps,
  { component, endpoints, sharedEndpoints, sinceMs }: PeersSubject,
  signal: AbortSignal,
): Promise<EvidenceLine[]> {
  const complaintsSince = (ms: number) =>
    complaintsAbout(findings, { component, endpoints, sharedEndpoints, sinceMs: ms }).filter(
      ({ line }) => !own.caused(line),
    );
  const first = complaintsSince(sinceMs);
  if (first.length === 0) return [];
  const nowMs = clock.monotonicMs();
  await clock.sleep(ASK_AGAIN_MS, signal);
  return complaintsSince(nowMs).length === 0 ? [] : first;
}

/** Nobody has judged while the server is away, or while it has nobody to ask. */
async function askServer(
  { link, clock }: PeersDeps,
  request: MessageInitShape<typeof CheckPeersRequestSchema>,
  signal: AbortSignal,
): Promise<CheckPeersResponse> {
  const backoff = new Backoff({ firstMs: 1_000, maxMs: 10_000 });
  const endMs = clock.monotonicMs() + DEADLINE_MS;
  for (;;) {
    try {
      const { agent } = await link.calls();
      return await agent.checkPeers(request, { signal, deadlineMs: DEADLINE_MS });
    } catch (error) {
      const { reason, retryAfterMs } = AppError.from(error);
      if (reason !== 'unavailable' || clock.monotonicMs() >= endMs) throw error;
      await backoff.wait(clock, signal, retryAfterMs);
    }
  }
}

function failed(summary: string): CheckOutcome {
  return { kind: 'peers', result: 'failed', summary, evidence: [] };
}
