/** ListTokens: all tokens, newest first. */
import { create } from '@bufbuild/protobuf';
import {
  type ListTokensRequest,
  type ListTokensResponse,
  ListTokensResponseSchema,
} from '../../proto/gen/kubemtls/v1/token_pb.js';
import { nextPageToken, readPage } from '../fleet/paging.ts';
import type { Store } from '../store/store.ts';
import { tokenMessage } from './token-message.ts';

/** Answers ListTokens for a caller that was authorized. Rejects 'invalid-request' for a page that does not exist. */
export async function listTokens(
  request: ListTokensRequest,
  deps: { store: Pick<Store, 'listTokens'> },
): Promise<ListTokensResponse> {
  const page = await deps.store.listTokens(readPage(request.page));
  return create(ListTokensResponseSchema, {
    tokens: page.rows.map(tokenMessage),
    nextPageToken: nextPageToken(page.next),
  });
}
