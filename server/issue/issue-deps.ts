/** What every request for certificates needs, and who may make one. */
import { AppError } from '../../common/errors/app-error.ts';
import type { Clock } from '../../common/time/clock.ts';
import type { Authorities } from '../authority/authorities.ts';
import { actorOf, type Caller } from '../caller.ts';
import type { ServerConfig } from '../config/server-config.ts';
import { recordEvent } from '../events/record-event.ts';
import type { PolicyContext } from '../policy/approve.ts';
import type { NodeRecord, Store } from '../store/store.ts';

/** What every request for certificates needs. */
export interface IssueDeps {
  store: Store;
  authorities: Authorities;
  config: ServerConfig;
  clock: Clock;
}

/** What policy looks at, now. */
export function policyContext(deps: IssueDeps): PolicyContext {
  return { config: deps.config, authorities: deps.authorities, nowMs: deps.clock.nowMs() };
}

/**
 * The record of the calling node.
 *
 * @throws AppError policy-refused for an administrator, node-unknown, node-revoked
 */
export async function callingNode(deps: IssueDeps, caller: Caller): Promise<NodeRecord> {
  if (caller.kind !== 'node') {
    throw new AppError('policy-refused', 'certificates are issued to nodes only: call with the identity of a node');
  }
  const node = await deps.store.getNode(caller.name);
  if (node === undefined) throw new AppError('node-unknown', `${caller.name} is not enrolled: enrol it again`);
  if (node.revoked) throw new AppError('node-revoked', `${caller.name} was revoked: ask an operator`);
  return node;
}

/** Runs a request; a refusal is written to the audit before it is thrown on. */
export async function auditRefusals<T>(deps: IssueDeps, caller: Caller, request: () => Promise<T>): Promise<T> {
  try {
    return await request();
  } catch (thrown) {
    const { reason, message } = AppError.from(thrown);
    await recordEvent(deps.store, {
      kind: 'certificate.refused',
      actor: actorOf(caller),
      node: caller.kind === 'node' ? caller.name : '',
      reason,
      message: reason === 'internal' ? 'an internal error: see the log of the server' : message,
      source: caller.address,
    });
    throw thrown;
  }
}
