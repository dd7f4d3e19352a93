/** A token's record as callers see it: everything but the secret, which the record does not hold. */
import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { roles } from '../../common/names/names.ts';
import { type Token, TokenSchema } from '../../proto/gen/kubemtls/v1/token_pb.js';
import type { TokenRecord } from '../store/store.ts';

/** The message of a record. */
export function tokenMessage(record: TokenRecord): Token {
  return create(TokenSchema, {
    tokenId: record.id,
    role: roles.toNumber(record.role),
    nodeNames: record.nodeNames,
    expiresAt: timestampFromMs(record.expiresAtMs),
    maxUses: record.maxUses,
    uses: record.uses,
    revoked: record.revoked,
    sourceNetworks: record.sourceNetworks,
    createdBy: record.createdBy,
    createdAt: timestampFromMs(record.createdAtMs),
    addresses: record.addresses,
    allowReenroll: record.allowReenroll,
  });
}
