/** Who may call what on the fleet listener: one table. What does not stand here is refused. */
import { AppError } from '../common/errors/app-error.ts';
import type { AgentService } from '../proto/gen/kubemtls/v1/agent_pb.js';
import type { AuthorityService } from '../proto/gen/kubemtls/v1/authority_pb.js';
import type { CertificateService } from '../proto/gen/kubemtls/v1/certificate_pb.js';
import type { FleetService } from '../proto/gen/kubemtls/v1/fleet_pb.js';
import type { RolloutService } from '../proto/gen/kubemtls/v1/rollout_pb.js';
import type { TokenService } from '../proto/gen/kubemtls/v1/token_pb.js';
import { type AdminRole, actorOf, type Caller } from './caller.ts';

type Role = 'node' | AdminRole;
type Table = {
  AgentService: typeof AgentService.method;
  AuthorityService: typeof AuthorityService.method;
  CertificateService: typeof CertificateService.method;
  FleetService: typeof FleetService.method;
  RolloutService: typeof RolloutService.method;
  TokenService: typeof TokenService.method;
};

const NODE: readonly Role[] = ['node'];
const VIEWERS: readonly Role[] = ['viewer', 'operator', 'admin'];
const OPERATORS: readonly Role[] = ['operator', 'admin'];
const ADMINS: readonly Role[] = ['admin'];

/** The compiler sees to it that every method of every service has its row. */
const ROLES: { [Service in keyof Table]: { [Method in keyof Table[Service]]: readonly Role[] } } = {
  AgentService: { session: NODE, acquireRestartPermit: NODE, releaseRestartPermit: NODE, checkPeers: NODE },
  AuthorityService: {
    listAuthorities: VIEWERS,
    getAuthorityRotation: VIEWERS,
    startAuthorityRotation: ADMINS,
    advanceAuthorityRotation: ADMINS,
    abortAuthorityRotation: ADMINS,
    removeNode: ADMINS,
  },
  CertificateService: { issueCertificates: NODE, renewIdentity: NODE, getTrustBundles: NODE },
  FleetService: {
    getFleetStatus: VIEWERS,
    listNodes: VIEWERS,
    getNode: VIEWERS,
    listCertificates: VIEWERS,
    getVerification: VIEWERS,
    listEvents: VIEWERS,
  },
  RolloutService: { getRollout: VIEWERS, pauseRollout: OPERATORS, resumeRollout: OPERATORS },
  TokenService: { createToken: OPERATORS, listTokens: OPERATORS, revokeToken: OPERATORS },
};

const ALLOWED = new Map<string, readonly Role[]>(
  Object.entries(ROLES).flatMap(([service, methods]) =>
    Object.entries(methods).map(([method, roles]) => [`kubemtls.v1.${service}/${capital(method)}`, roles] as const),
  ),
);

/**
 * Lets the caller pass.
 *
 * @param method - "kubemtls.v1.FleetService/GetNode"
 * @throws AppError 'policy-refused'
 */
export function authorize(caller: Caller, method: string): void {
  const role = caller.kind === 'node' ? 'node' : caller.role;
  const allowed = ALLOWED.get(method) ?? [];
  if (allowed.includes(role)) return;
  const who = caller.kind === 'node' ? actorOf(caller) : `${actorOf(caller)} (${role})`;
  const text = `${who} may not call ${method}; it is for ${allowed.join(', ') || 'nobody'}`;
  throw new AppError('policy-refused', text);
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
