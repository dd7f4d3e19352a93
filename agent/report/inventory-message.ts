/** Every certificate that the node's components refer to, managed or not, as it goes over the wire. */
import { create } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { messageOf } from '../../common/errors/app-error.ts';
import { parseCertificate } from '../../common/x509/certificate.ts';
import { type Inventory, InventorySchema } from '../../proto/gen/kubemtls/v1/agent_pb.js';
import { type NodeCertificate, NodeCertificateSchema } from '../../proto/gen/kubemtls/v1/types_pb.js';
import type { FoundCertificate } from '../detect/detected.ts';
import type { PlanInput } from '../plan/plan-input.ts';
import { issuerPin } from './trust.ts';

/** The inventory of a node as it was looked at. */
export function inventoryMessage({
  detected,
  layout,
  bundles,
}: Pick<PlanInput, 'detected' | 'layout' | 'bundles'>): Inventory {
  const roots = [...bundles.values()].join('\n');
  const certificates = detected.certificates.map((found) => certificateMessage(found, layout.pkiFolder, roots));
  return create(InventorySchema, { certificates });
}

function certificateMessage(found: FoundCertificate, pkiFolder: string, roots: string): NodeCertificate {
  const { path, consumer, certificatePem, problem } = found;
  const managed = path.startsWith(`${pkiFolder}/`);
  if (certificatePem === undefined) return create(NodeCertificateSchema, { path, consumer, managed, problem });
  try {
    const { subject, issuer, serial, notAfter } = parseCertificate(certificatePem);
    return create(NodeCertificateSchema, {
      path,
      consumer,
      managed,
      problem,
      subject,
      issuer,
      serial,
      notAfter: timestampFromDate(notAfter),
      issuerPin: issuerPin(certificatePem, roots),
    });
  } catch (error) {
    return create(NodeCertificateSchema, { path, consumer, managed, problem: messageOf(error) });
  }
}
