/** AgentService: what agents and the server tell each other. */
import type { Handlers } from '../../common/rpc/handlers.ts';
import type { AgentService } from '../../proto/gen/kubemtls/v1/agent_pb.js';
import type { Caller } from '../caller.ts';
import { type CheckPeersDeps, checkPeers } from '../peers/check-peers.ts';
import { acquirePermit } from '../permit/acquire-permit.ts';
import type { Coordinator } from '../permit/coordinator.ts';
import { type ServeSessionDeps, serveSession } from '../session/serve-session.ts';

/** What the service needs. */
export type AgentServiceDeps = ServeSessionDeps & CheckPeersDeps & { permits: Coordinator };

/** The service; every caller is a node. */
export function agentService(deps: AgentServiceDeps): Handlers<typeof AgentService.method, Caller> {
  return {
    session: (stream, call, caller) => serveSession(stream, call, caller, deps),
    acquireRestartPermit: (request, _call, caller) => acquirePermit(request, caller, deps),
    async releaseRestartPermit(request, _call, caller) {
      await deps.permits.release(caller.name, request.permitId);
      return {};
    },
    checkPeers: async (request, call, caller) => ({ check: await checkPeers(request, caller, call.signal, deps) }),
  };
}
