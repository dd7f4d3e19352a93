/** TokenService: bootstrap tokens. */
import type { Handlers } from '../../common/rpc/handlers.ts';
import type { TokenService } from '../../proto/gen/kubemtls/v1/token_pb.js';
import type { Caller } from '../caller.ts';
import type { Store } from '../store/store.ts';
import { type CreateTokenDeps, createToken } from '../token/create-token.ts';
import { listTokens } from '../token/list-tokens.ts';
import { revokeToken } from '../token/revoke-token.ts';

/** The service; every caller is an operator at least. */
export function tokenService(deps: CreateTokenDeps & { store: Store }): Handlers<typeof TokenService.method, Caller> {
  return {
    createToken: (request, _call, caller) => createToken(request, caller, deps),
    listTokens: (request) => listTokens(request, deps),
    revokeToken: (request, _call, caller) => revokeToken(request, caller, deps),
  };
}
