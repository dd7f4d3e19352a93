/** The connection of the node to its server, opened anew when the identity changes. */

import { AppError } from '../../common/errors/app-error.ts';
import { createClient, type ServiceClient } from '../../common/rpc/client.ts';
import { type Connection, openConnection } from '../../common/rpc/connection.ts';
import type { Clock } from '../../common/time/clock.ts';
import { parseCertificate } from '../../common/x509/certificate.ts';
import { AgentService } from '../../proto/gen/kubemtls/v1/agent_pb.js';
import { CertificateService } from '../../proto/gen/kubemtls/v1/certificate_pb.js';
import { loadIdentity } from '../enrol/identity.ts';
import type { Layout } from '../layout.ts';

/** Calls to the server with the node's identity. */
export interface ServerCalls {
  agent: ServiceClient<typeof AgentService.method>;
  certificates: ServiceClient<typeof CertificateService.method>;
}

/** The link. One for the life of the daemon. */
export interface ServerLink {
  /**
   * Calls over the connection of the identity that is current now.
   *
   * @throws AppError 'unauthenticated' for an identity that has expired, since TLS would only say that nobody answers; 'not-found'
   *   or 'internal' for one that cannot be read
   */
  calls(): Promise<ServerCalls>;
  /** Forgets the connection: the next call reads the identity again. What is under way on the old one has time to end. */
  renew(): void;
  /** Ends everything. */
  close(): void;
}

interface Open {
  connection: Connection;
  calls: ServerCalls;
  notAfterMs: number;
}

/** Longer than any call of the agent; a session goes on until then and comes back with the new identity. */
const RETIRE_MS = 5 * 60_000;

/** Makes a link to a fleet listener, HOST:PORT. Nothing is sent before the first call. */
export function createServerLink(layout: Layout, fleetEndpoint: string, clock: Clock): ServerLink {
  const closed = new AbortController();
  let current: Promise<Open> | undefined;

  /** Closes it when that time is over, or with the link. */
  const retire = async (opening: Promise<Open>): Promise<void> => {
    await clock.sleep(RETIRE_MS, closed.signal).catch(() => undefined); // only the signal ends a sleep
    await opening.then(({ connection }) => connection.close()).catch(() => undefined); // one that was never opened
  };
  const renew = (): void => {
    if (current !== undefined) void retire(current);
    current = undefined;
  };
  return {
    async calls() {
      const opening = current ?? open(layout, fleetEndpoint);
      current = opening;
      try {
        const { calls, notAfterMs } = await opening;
        if (notAfterMs > clock.nowMs()) return calls;
      } catch (error) {
        if (current === opening) current = undefined; // the next call tries again
        throw error;
      }
      if (current === opening) renew();
      throw new AppError('unauthenticated', 'the identity of this node has expired: join it again with a new token');
    },
    renew,
    close() {
      closed.abort();
      renew();
    },
  };
}

async function open(layout: Layout, address: string): Promise<Open> {
  const { fleetRootsPem, certificatePem, keyPem } = await loadIdentity(layout);
  const notAfterMs = parseCertificate(certificatePem).notAfter.getTime();
  const connection = openConnection({ address, rootsPem: fleetRootsPem, certPem: certificatePem, keyPem });
  const calls = {
    agent: createClient(AgentService, connection),
    certificates: createClient(CertificateService, connection),
  };
  return { connection, calls, notAfterMs };
}
