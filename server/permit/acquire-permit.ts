/** The request for a restart permit, from the wire to the coordinator. */
import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { AppError } from '../../common/errors/app-error.ts';
import { components as words } from '../../common/names/names.ts';
import type {
  AcquireRestartPermitRequest,
  AcquireRestartPermitResponseSchema,
} from '../../proto/gen/kubemtls/v1/agent_pb.js';
import { roleRuns } from '../policy/role-components.ts';
import type { Store } from '../store/store.ts';
import type { Coordinator } from './coordinator.ts';

/**
 * Grants or renews a permit.
 *
 * @throws AppError 'invalid-request' for components that are none, 'policy-refused' for those that the node's role does not
 * run, and what the coordinator throws
 */
export async function acquirePermit(
  request: AcquireRestartPermitRequest,
  caller: { name: string },
  deps: { store: Store; permits: Coordinator },
): Promise<MessageInitShape<typeof AcquireRestartPermitResponseSchema>> {
  const node = await deps.store.getNode(caller.name);
  if (node === undefined) throw new AppError('node-unknown', 'this node is not known; enrol it again');
  const components = request.components.slice(0, 10).map((number) => {
    const component = words.toWord(number);
    if (component === undefined) throw new AppError('invalid-request', `${number} is no component`);
    if (roleRuns(node.role, component)) return component;
    throw new AppError(
      'policy-refused',
      `a ${node.role} node has no ${component} to change; enrol it with another role`,
    );
  });
  const permit = await deps.permits.acquire(node.name, {
    permitId: request.permitId.slice(0, 64),
    components: [...new Set(components)],
    reason: request.reason.slice(0, 200),
    changeId: request.changeId.slice(0, 64),
    undo: request.undo,
    live: request.live,
  });
  return { permitId: permit.id, expiresAt: timestampFromMs(permit.expiresAtMs) };
}
