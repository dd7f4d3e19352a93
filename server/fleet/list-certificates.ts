/** Certificates issued, newest first. */
import type { MessageInitShape } from '@bufbuild/protobuf';
import { durationMs, timestampFromMs } from '@bufbuild/protobuf/wkt';
import { AppError } from '../../common/errors/app-error.ts';
import { authorities, profiles } from '../../common/names/names.ts';
import type { Clock } from '../../common/time/clock.ts';
import {
  type CertificateRecordSchema,
  CertificateState,
  type ListCertificatesRequest,
  type ListCertificatesResponseSchema,
} from '../../proto/gen/kubemtls/v1/fleet_pb.js';
import type { CertificateRow, Store } from '../store/store.ts';
import { nextPageToken, readPage } from './paging.ts';

/** Answers ListCertificates. */
export async function listCertificates(
  request: ListCertificatesRequest,
  deps: { store: Store; clock: Clock },
): Promise<MessageInitShape<typeof ListCertificatesResponseSchema>> {
  const profile = profiles.toWord(request.profile);
  if (request.profile !== 0 && profile === undefined) throw new AppError('invalid-request', 'there is no such profile');
  const within = request.expiringWithin;
  const filter = {
    ...(request.node === '' ? {} : { holder: request.node }),
    ...(profile === undefined ? {} : { profile }),
    ...(within === undefined ? {} : { expiringBeforeMs: deps.clock.nowMs() + durationMs(within) }),
  };
  const { rows, next } = await deps.store.listCertificates(filter, readPage(request.page));
  return { certificates: rows.map(recordOf), nextPageToken: nextPageToken(next) };
}

function recordOf(row: CertificateRow): MessageInitShape<typeof CertificateRecordSchema> {
  return {
    serial: row.serial,
    authority: authorities.toNumber(row.authority),
    ...(row.profile === undefined ? {} : { profile: profiles.toNumber(row.profile) }),
    holder: row.holder,
    subject: row.subject,
    dnsNames: row.dnsNames,
    ipAddresses: row.ipAddresses,
    uris: row.uris,
    notBefore: timestampFromMs(row.notBeforeMs),
    notAfter: timestampFromMs(row.notAfterMs),
    sha256: row.sha256,
    state: row.state === 'issued' ? CertificateState.ISSUED : CertificateState.INTENDED,
    changeId: row.changeId,
  };
}
