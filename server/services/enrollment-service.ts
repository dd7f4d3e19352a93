/** EnrollmentService: first contact, with a bootstrap token instead of a certificate. */
import type { Handlers } from '../../common/rpc/handlers.ts';
import type { EnrollmentService } from '../../proto/gen/kubemtls/v1/enrollment_pb.js';
import { createEnrolNode, type EnrolDeps } from '../enrol/enrol-node.ts';

/** The service; the request itself looks at the token. */
export function enrollmentService(deps: EnrolDeps): Handlers<typeof EnrollmentService.method, undefined> {
  const enrolNode = createEnrolNode(deps);
  return {
    enrollNode: (request, call) =>
      enrolNode({ authorization: call.header('authorization'), address: call.address }, request),
  };
}
