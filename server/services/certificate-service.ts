/** CertificateService: certificates for enrolled nodes. */
import type { Handlers } from '../../common/rpc/handlers.ts';
import type { CertificateService } from '../../proto/gen/kubemtls/v1/certificate_pb.js';
import type { Caller } from '../caller.ts';
import { issueCertificates } from '../issue/issue-certificates.ts';
import type { IssueDeps } from '../issue/issue-deps.ts';
import { renewIdentity } from '../issue/renew-identity.ts';
import { getTrustBundles } from '../issue/trust-bundles.ts';

/** The service; every caller is a node. */
export function certificateService(deps: IssueDeps): Handlers<typeof CertificateService.method, Caller> {
  return {
    issueCertificates: (request, _call, caller) => issueCertificates(deps, caller, request),
    renewIdentity: (request, _call, caller) => renewIdentity(deps, caller, request),
    getTrustBundles: (_request, _call, caller) => getTrustBundles(deps, caller),
  };
}
