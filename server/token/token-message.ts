/** A token as it goes over the wire: without anything that its secret could be guessed from. */
import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { roles } from '../../common/names/names.ts';
import type { TokenSchema } from '../../proto/gen/kubemtls/v1/token_pb.js';
import type { TokenRecord } from '../store/store.ts';

/** The message of a record. */
export function tokenMessage(record: TokenRecord): MessageInitShape<typeof TokenSchema> {
  const { id, role, secretSha256: _hash, expiresAtMs, createdAtMs, ...rest } = record;
  return {
    ...rest,
    tokenId: id,
    role: roles.toNumber(role),
    expiresAt: timestampFromMs(expiresAtMs),
    createdAt: timestampFromMs(createdAtMs),
  };
}
