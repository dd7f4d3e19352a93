/** The connection of the node to its server, opened anew when the identity changes. */

import { createClient, type ServiceClient } from '../../common/rpc/client.ts';
import { type Connection, openConnection } from '../../common/rpc/connection.ts';
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
  /** Calls over the connection of the identity that is current now. */
  calls(): Promise<ServerCalls>;
  /** Forgets the connection: the next call reads the identity again. Streams on the old one end. */
  renew(): void;
  close(): void;
}

/** Makes a link to a fleet listener, HOST:PORT. Nothing is sent before the first call. */
export function createServerLink(layout: Layout, fleetEndpoint: string): ServerLink {
  let open: { connection: Connection; calls: ServerCalls } | undefined;
  const close = () => {
    open?.connection.close();
    open = undefined;
  };
  return {
    async calls() {
      if (open !== undefined) return open.calls;
      const { fleetRootsPem, certificatePem, keyPem } = await loadIdentity(layout);
      const connection = openConnection({
        address: fleetEndpoint,
        rootsPem: fleetRootsPem,
        certPem: certificatePem,
        keyPem,
      });
      const calls = {
        agent: createClient(AgentService, connection),
        certificates: createClient(CertificateService, connection),
      };
      open = { connection, calls };
      return calls;
    },
    renew: close,
    close,
  };
}
