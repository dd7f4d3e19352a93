/** IssueCertificates: all certificates that one change on a node needs, or none of them. */
import { create } from '@bufbuild/protobuf';
import { timestampFromDate, timestampFromMs } from '@bufbuild/protobuf/wkt';
import { AppError } from '../../common/errors/app-error.ts';
import { type Profile, profiles } from '../../common/names/names.ts';
import { type ParsedCsr, parseCsr } from '../../common/x509/csr.ts';
import {
  type CertificateRequest,
  type IssueCertificatesRequest,
  type IssueCertificatesResponse,
  IssueCertificatesResponseSchema,
} from '../../proto/gen/kubemtls/v1/certificate_pb.js';
import { Profile as ProfileNumber } from '../../proto/gen/kubemtls/v1/types_pb.js';
import { actorOf, type Caller } from '../caller.ts';
import { approveCertificate } from '../policy/approve.ts';
import { auditRefusals, callingNode, type IssueDeps, policyContext } from './issue-deps.ts';
import { type SignedCertificate, signApprovals } from './sign-approvals.ts';
import { trustBundles } from './trust-bundles.ts';

const maxRequests = 32;

/**
 * Answers IssueCertificates for a caller that was authenticated.
 *
 * @throws AppError invalid-request, policy-refused, node-unknown, node-revoked, conflict; nothing was signed then
 */
export function issueCertificates(
  deps: IssueDeps,
  caller: Caller,
  request: IssueCertificatesRequest,
): Promise<IssueCertificatesResponse> {
  return auditRefusals(deps, caller, async () => {
    // 1. who asks, and what for
    const node = await callingNode(deps, caller);
    const wishes = readBatch(request);

    // 2. policy decides on each; one refusal refuses all
    const context = policyContext(deps);
    const approvals = [];
    for (const { profile, csr } of wishes) {
      const keyHolder = await deps.store.holderOfKey(csr.publicKeyPin);
      approvals.push(approveCertificate({ node, profile, csr, keyHolder }, context));
    }

    // 3. intents recorded and audited, signed, signatures recorded and audited
    const { changeId } = request;
    const signed = await signApprovals(deps, approvals, { actor: actorOf(caller), source: caller.address, changeId });

    // 4. the answer, in the order of the requests
    return create(IssueCertificatesResponseSchema, {
      certificates: signed.map(toMessage),
      bundles: trustBundles(deps.authorities, node.role),
      serverTime: timestampFromMs(deps.clock.nowMs()),
    });
  });
}

function readBatch({ requests, changeId }: IssueCertificatesRequest): { profile: Profile; csr: ParsedCsr }[] {
  if (requests.length === 0 || requests.length > maxRequests) {
    throw refusal(`the batch has ${requests.length} requests: send 1 to ${maxRequests}`);
  }
  if (!/^[A-Za-z0-9._-]{0,100}$/.test(changeId))
    throw refusal('the change identifier is malformed: use at most 100 of A-Z, a-z, 0-9, ".", "_" and "-"');
  const wishes = requests.map(readRequest);
  const seen = new Set<string>();
  for (const { profile, csr } of wishes) {
    if (seen.has(profile)) throw refusal(`the batch asks for ${profile} twice: ask once`);
    if (seen.has(csr.publicKeyPin))
      throw refusal(`the request for ${profile} has the key of another one: make a key for each`);
    seen.add(profile).add(csr.publicKeyPin);
  }
  return wishes;
}

function readRequest(request: CertificateRequest, index: number): { profile: Profile; csr: ParsedCsr } {
  const profile = profiles.toWord(request.profile);
  if (profile === undefined) throw refusal(`request ${index + 1} has no profile that this server knows`);
  try {
    return { profile, csr: parseCsr(request.csr) };
  } catch (error) {
    const { reason, message } = AppError.from(error);
    throw new AppError(reason, `the request for ${profile}: ${message}`, { cause: error });
  }
}

function toMessage({ approval, certificate }: SignedCertificate) {
  const { profile } = approval.fields;
  return {
    profile: profile === undefined ? ProfileNumber.UNSPECIFIED : profiles.toNumber(profile),
    certificatePem: certificate.pem,
    serial: certificate.serial,
    notBefore: timestampFromDate(certificate.notBefore),
    notAfter: timestampFromDate(certificate.notAfter),
  };
}

function refusal(message: string): AppError {
  return new AppError('invalid-request', message);
}
