/** What the two listeners let their callers take; numbers that operators may change come from the configuration. */
import { defaultLimits, type ListenerLimits } from '../common/rpc/listener-limits.ts';
import { methodDefinition } from '../common/rpc/service-definition.ts';
import { AgentService } from '../proto/gen/kubemtls/v1/agent_pb.js';
import type { ServerConfig } from './config/server-config.ts';

/** One for each listener. */
export interface ServerLimits {
  bootstrap: ListenerLimits;
  fleet: ListenerLimits;
}

const KIB = 1024;
const MIB = 1024 * KIB;

/** The limits of a server with this configuration. */
export function serverLimits({ connectionsPerAddress }: Pick<ServerConfig, 'connectionsPerAddress'>): ServerLimits {
  return {
    // Strangers: a node comes once, with one request of 2 KiB (a CSR is 16 KiB at most), and leaves.
    bootstrap: {
      ...defaultLimits,
      messageBytes: 32 * KIB,
      heldBytes: 32 * MIB,
      streams: 4,
      connections: 1024,
      connectionsPerAddress: connectionsPerAddress.bootstrap,
      halfOpen: 512,
      halfOpenPerAddress: 64,
      firstCallMs: 10_000,
      ageMs: 60_000,
    },
    // Members: whoever gets beyond the handshake has a certificate of ours. An inventory comes over the session.
    fleet: {
      ...defaultLimits,
      messageBytes: 64 * KIB,
      messageBytesOf: { [methodDefinition(AgentService.method.session).path]: MIB },
      connectionsPerAddress: connectionsPerAddress.fleet,
    },
  };
}
