/** RenewIdentity: a new key for the identity with which a node calls this server. */
import { create } from '@bufbuild/protobuf';
import { AppError } from '../../common/errors/app-error.ts';
import { parseCsr } from '../../common/x509/csr.ts';
import {
  type RenewIdentityRequest,
  type RenewIdentityResponse,
  RenewIdentityResponseSchema,
} from '../../proto/gen/kubemtls/v1/certificate_pb.js';
import { actorOf, type Caller } from '../caller.ts';
import { recordEvent } from '../events/record-event.ts';
import { approveIdentity } from '../policy/approve.ts';
import { auditRefusals, callingNode, type IssueDeps, policyContext } from './issue-deps.ts';
import { only, signApprovals } from './sign-approvals.ts';

/**
 * Answers RenewIdentity for a caller that was authenticated. The key must be new; only the key of a renewal whose answer
 * was lost may come again, from the identity before it.
 *
 * @throws AppError invalid-request, policy-refused, node-unknown, node-revoked, conflict
 */
export function renewIdentity(
  deps: IssueDeps,
  caller: Caller,
  request: RenewIdentityRequest,
): Promise<RenewIdentityResponse> {
  return auditRefusals(deps, caller, async () => {
    // 1. who asks, with which key
    const node = await callingNode(deps, caller);
    const csr = parseCsr(request.csr);
    const keyHolder = await deps.store.holderOfKey(csr.publicKeyPin);
    const answerWasLost = csr.publicKeyPin === node.identityPin && caller.serial !== node.identitySerial;
    if (keyHolder === node.name && !answerWasLost) {
      throw new AppError('invalid-request', 'the key was used before: make a new one for each identity');
    }

    // 2. policy
    const approval = approveIdentity({ node, csr, keyHolder }, policyContext(deps));

    // 3. intent recorded and audited, signed, signature recorded and audited
    const actor = actorOf(caller);
    const signed = await signApprovals(deps, [approval], { actor, source: caller.address, changeId: '' });
    const { certificate } = only(signed);

    // 4. from here on this is the node's identity
    await deps.store.updateNode(node.name, {
      identityPin: certificate.publicKeyPin,
      identitySerial: certificate.serial,
      identityBefore: caller.serial,
      identityNotAfterMs: certificate.notAfter.getTime(),
    });
    await recordEvent(deps.store, {
      kind: 'identity.renewed',
      actor,
      node: node.name,
      message: `${node.name} has a new identity, serial ${certificate.serial}, until ${certificate.notAfter.toISOString()}`,
      source: caller.address,
    });
    return create(RenewIdentityResponseSchema, {
      certificatePem: certificate.pem,
      fleetRootsPem: deps.authorities.rootsPem('fleet'),
    });
  });
}
