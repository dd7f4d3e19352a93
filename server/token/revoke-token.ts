/** Ends a token at once. */
import { AppError } from '../../common/errors/app-error.ts';
import type { RevokeTokenRequest } from '../../proto/gen/kubemtls/v1/token_pb.js';
import { actorOf, type Caller } from '../caller.ts';
import { recordEvent } from '../events/record-event.ts';
import type { Store } from '../store/store.ts';

/** Answers RevokeToken. Rejects 'not-found' for an unknown identifier; a token revoked before is no error. */
export async function revokeToken(
  request: RevokeTokenRequest,
  caller: Caller,
  deps: { store: Pick<Store, 'revokeToken' | 'appendEvent'> },
): Promise<Record<string, never>> {
  const { tokenId } = request;
  if (!(await deps.store.revokeToken(tokenId))) {
    throw new AppError('not-found', `there is no token ${tokenId.slice(0, 20)}: see "kube-mtls token list"`);
  }
  const message = `token ${tokenId} was revoked`;
  await recordEvent(deps.store, { kind: 'token.revoked', actor: actorOf(caller), source: caller.address, message });
  return {};
}
