/** Events and audit, newest first. */
import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { ListEventsRequest, ListEventsResponseSchema } from '../../proto/gen/kubemtls/v1/fleet_pb.js';
import type { Store } from '../store/store.ts';
import { nextPageToken, readPage } from './paging.ts';

/** Answers ListEvents. */
export async function listEvents(
  request: ListEventsRequest,
  deps: { store: Store },
): Promise<MessageInitShape<typeof ListEventsResponseSchema>> {
  const filter = {
    ...(request.node === '' ? {} : { node: request.node }),
    ...(request.kind === '' ? {} : { kind: request.kind }),
  };
  const { rows, next } = await deps.store.listEvents(filter, readPage(request.page));
  const events = rows.map(({ atMs, sequence, ...row }) => ({
    ...row,
    sequence: BigInt(sequence),
    at: timestampFromMs(atMs),
  }));
  return { events, nextPageToken: nextPageToken(next) };
}
