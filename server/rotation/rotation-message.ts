/** The change of roots and the CA certificates as operators see them. */
import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate, timestampFromMs } from '@bufbuild/protobuf/wkt';
import { rotationPhases, authorities as words } from '../../common/names/names.ts';
import type { AuthorityCertificateSchema, AuthorityRotationSchema } from '../../proto/gen/kubemtls/v1/authority_pb.js';
import type { Authorities } from '../authority/authorities.ts';
import { shortened } from './completion.ts';
import type { RotationView } from './rotation.ts';

/** How it stands. */
export function rotationMessage(view: RotationView): MessageInitShape<typeof AuthorityRotationSchema> {
  const { authorities, phase, phaseStartedAtMs, automatic } = view.record;
  const underWay = phase !== 'settled';
  return {
    authorities: authorities.map(words.toNumber),
    phase: rotationPhases.toNumber(phase),
    ...(underWay ? { phaseStartedAt: timestampFromMs(phaseStartedAtMs) } : {}),
    complete: underWay && view.waitingFor.length === 0,
    waitingFor: shortened(view.waitingFor),
    automatic,
    leftBehind: shortened(view.leftBehind ?? []),
  };
}

/** Every CA certificate, the newest of each authority first. */
export function certificateMessages(
  authorities: Pick<Authorities, 'all'>,
): MessageInitShape<typeof AuthorityCertificateSchema>[] {
  return words.all.flatMap((authority) =>
    authorities.all(authority).map(({ certificate, issuing, trusted, hasKey }) => ({
      authority: words.toNumber(authority),
      subject: certificate.subject,
      serial: certificate.serial,
      publicKeyPin: certificate.publicKeyPin,
      notAfter: timestampFromDate(certificate.notAfter),
      issuing,
      trusted,
      hasKey,
      certificatePem: certificate.pem,
    })),
  );
}
