/** RevokeToken: the end of a token, at once. */
import { create } from '@bufbuild/protobuf';
import { AppError } from '../../common/errors/app-error.ts';
import {
  type RevokeTokenRequest,
  type RevokeTokenResponse,
  RevokeTokenResponseSchema,
} from '../../proto/gen/kubemtls/v1/token_pb.js';
import { actorOf, type Caller } from '../caller.ts';
import { recordEvent } from '../events/record-event.ts';
import type { Store } from '../store/store.ts';

/** Answers RevokeToken for a caller that was authorized. Rejects 'not-found' for an unknown token. */
export async function revokeToken(
  request: RevokeTokenRequest,
  caller: Caller,
  deps: { store: Pick<Store, 'revokeToken' | 'appendEvent'> },
): Promise<RevokeTokenResponse> {
  // whoever pastes the whole token means the part before the dot; the rest must not come back in a message
  const id = request.tokenId.split('.')[0] ?? '';
  if (!/^[a-z0-9]{8}$/.test(id) || !(await deps.store.revokeToken(id))) {
    throw new AppError('not-found', 'there is no such token: see kube-mtls token list');
  }
  await recordEvent(deps.store, {
    kind: 'token.revoked',
    actor: actorOf(caller),
    message: `token ${id} was revoked`,
    source: caller.address,
  });
  return create(RevokeTokenResponseSchema, {});
}
