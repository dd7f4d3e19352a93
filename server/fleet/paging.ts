/** Pages of a list: opaque tokens on the wire, sizes within bounds. */
import { AppError } from '../../common/errors/app-error.ts';
import type { Page } from '../../proto/gen/kubemtls/v1/types_pb.js';
import type { PageQuery } from '../store/store.ts';

const DEFAULT_SIZE = 100;
const MOST = 1000;

/**
 * The page that a request asks for.
 *
 * @throws AppError 'invalid-request' for a size above 1000 or a token that is none of ours
 */
export function readPage(page: Page | undefined): PageQuery {
  const size = page?.pageSize === undefined || page.pageSize === 0 ? DEFAULT_SIZE : page.pageSize;
  if (size > MOST) throw new AppError('invalid-request', `page_size is at most ${MOST}`);
  return { size, after: readToken(page?.pageToken ?? '') };
}

/** The token for the page after; '' at the end. */
export function nextPageToken(next: string | undefined): string {
  return next === undefined ? '' : Buffer.from(`p1:${next}`).toString('base64url');
}

function readToken(token: string): string | undefined {
  if (token === '') return undefined;
  const text = token.length > 512 ? '' : Buffer.from(token, 'base64url').toString();
  if (text.startsWith('p1:')) return text.slice(3);
  throw new AppError('invalid-request', 'page_token is none of this list; begin with the first page');
}
