/** RolloutService: the one rollout of the fleet. */
import type { Handlers } from '../../common/rpc/handlers.ts';
import type { RolloutService } from '../../proto/gen/kubemtls/v1/rollout_pb.js';
import { actorOf, type Caller } from '../caller.ts';
import { pauseRollout, type RolloutDeps, resumeRollout, showRollout } from '../rollout/rollout.ts';

/** The service; viewers look, operators steer. */
export function rolloutService(deps: RolloutDeps): Handlers<typeof RolloutService.method, Caller> {
  return {
    getRollout: async () => ({ rollout: await showRollout(deps) }),
    async pauseRollout(request, call, caller) {
      const reason = request.reason.trim().slice(0, 500) || 'paused by an operator';
      await pauseRollout({ actor: actorOf(caller), reason, node: '', source: call.address }, deps);
      return { rollout: await showRollout(deps) };
    },
    async resumeRollout({ leaveOut, letIn }, call, caller) {
      await resumeRollout({ actor: actorOf(caller), source: call.address, leaveOut, letIn }, deps);
      return { rollout: await showRollout(deps) };
    },
  };
}
