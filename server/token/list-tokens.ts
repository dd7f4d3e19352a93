/** Tokens without their secrets, newest first. */
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { ListTokensRequest, ListTokensResponseSchema } from '../../proto/gen/kubemtls/v1/token_pb.js';
import { nextPageToken, readPage } from '../fleet/paging.ts';
import type { Store } from '../store/store.ts';
import { tokenMessage } from './token-message.ts';

/** Answers ListTokens. Rejects 'invalid-request' for a page that is none of this list. */
export async function listTokens(
  request: ListTokensRequest,
  deps: { store: Pick<Store, 'listTokens'> },
): Promise<MessageInitShape<typeof ListTokensResponseSchema>> {
  const { rows, next } = await deps.store.listTokens(readPage(request.page));
  return { tokens: rows.map(tokenMessage), nextPageToken: nextPageToken(next) };
}
