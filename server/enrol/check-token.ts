/** Whether a bootstrap token is good, and for what. The caller learns that it is not; the audit learns why. */
import { AppError } from '../../common/errors/app-error.ts';
import type { Store, TokenRecord } from '../store/store.ts';
import { matchesName } from '../token/name-pattern.ts';
import { isInNetworks } from '../token/source-network.ts';
import { parseBearer, secretMatches } from '../token/token-text.ts';
import type { EnrolThrottle } from './enrol-throttle.ts';

/** The call, before anybody looked who calls. */
export interface BootstrapCall {
  /** The header "authorization", or undefined. */
  authorization: string | undefined;
  /** IP address of the peer. */
  address: string;
}

/**
 * The token of the call, its secret checked. Whether it can still be used is for assertUsable, whether it may be used
 * for a name for assertAllows.
 *
 * @throws AppError unauthenticated, rate-limited
 */
export async function authenticateToken(
  deps: { store: Pick<Store, 'getToken'>; throttle: EnrolThrottle },
  call: BootstrapCall,
): Promise<TokenRecord> {
  const given = parseBearer(call.authorization);
  if (given === undefined) {
    throw notValid(call.authorization === undefined ? 'no token was given' : 'the token is malformed');
  }
  deps.throttle.assertToken(given.id);
  const token = await deps.store.getToken(given.id);
  const right = secretMatches(given.secret, token?.secretSha256);
  if (token === undefined) throw notValid('the token is unknown');
  if (!right) {
    deps.throttle.countWrongSecret(token.id);
    throw notValid('the secret of the token is wrong');
  }
  if (token.revoked) throw notValid('the token was revoked');
  return token;
}

/** Throws AppError unauthenticated for a token that expired or has no use left. */
export function assertUsable(token: TokenRecord, nowMs: number): void {
  if (token.expiresAtMs <= nowMs) throw notValid('the token has expired');
  if (token.uses >= token.maxUses) throw notValid('the token is used up');
}

/** Throws AppError policy-refused when the token may not be used for this name or from this address. */
export function assertAllows(token: TokenRecord, nodeName: string, address: string): void {
  if (token.sourceNetworks.length > 0 && !isInNetworks(address, token.sourceNetworks)) {
    throw new AppError('policy-refused', `the token may not be used from ${address}: make one for this network`);
  }
  if (!matchesName(nodeName, token.nodeNames)) {
    throw new AppError(
      'policy-refused',
      `the token is not for a node called ${nodeName}: make one with --node ${nodeName}`,
    );
  }
}

/** What the audit is told of a refusal. */
export function auditText(error: AppError): string {
  return error.reason === 'unauthenticated' && error.cause instanceof Error ? error.cause.message : error.message;
}

/** One sentence for all: the difference would tell a stranger which tokens exist. */
function notValid(why: string): AppError {
  return new AppError(
    'unauthenticated',
    'the token is not valid: make one with "kube-mtls token create --print-join" on the server',
    { cause: new Error(why) },
  );
}
