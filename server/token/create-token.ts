/** CreateToken: a bootstrap token, its record and the line to run on the node. */
import { create } from '@bufbuild/protobuf';
import { type Duration, durationMs } from '@bufbuild/protobuf/wkt';
import { formatDuration } from '../../common/config/duration.ts';
import { AppError } from '../../common/errors/app-error.ts';
import { roles } from '../../common/names/names.ts';
import type { Clock } from '../../common/time/clock.ts';
import { canonicalIp } from '../../common/x509/ip-address.ts';
import {
  type CreateTokenRequest,
  type CreateTokenResponse,
  CreateTokenResponseSchema,
} from '../../proto/gen/kubemtls/v1/token_pb.js';
import { actorOf, type Caller } from '../caller.ts';
import { recordEvent } from '../events/record-event.ts';
import type { Store, TokenRecord } from '../store/store.ts';
import { isExact, isNamePattern } from './name-pattern.ts';
import { isReachableAddress, parseNetwork } from './source-network.ts';
import { tokenMessage } from './token-message.ts';
import { hashSecret, newToken } from './token-text.ts';

/** What a token is made with. */
export interface CreateTokenDeps {
  store: Pick<Store, 'insertToken' | 'appendEvent'>;
  clock: Clock;
  /** HOST:PORT of the bootstrap listener, for the join line. */
  bootstrapEndpoint: string;
  /** sha256:HEX of the fleet CA's public key, for the join line. */
  fleetPin: string;
}

const minuteMs = 60_000;
const defaultTtlMs = 24 * 60 * minuteMs;
const maxTtlMs = 30 * defaultTtlMs;
const maxUses = 1000;
const maxEntries = 100;

/**
 * Makes a token for a caller that was authorized. The answer holds its secret; nothing else ever does.
 *
 * @throws AppError invalid-request for whatever is malformed or out of bounds
 */
export async function createToken(
  request: CreateTokenRequest,
  caller: Caller,
  deps: CreateTokenDeps,
): Promise<CreateTokenResponse> {
  const { id, secret } = newToken();
  const nowMs = deps.clock.nowMs();
  const record: TokenRecord = {
    id,
    secretSha256: hashSecret(secret),
    ...readRequest(request),
    expiresAtMs: nowMs + readTtl(request.ttl),
    uses: 0,
    revoked: false,
    createdBy: actorOf(caller),
    createdAtMs: nowMs,
  };
  await deps.store.insertToken(record);
  await recordEvent(deps.store, {
    kind: 'token.created',
    actor: actorOf(caller),
    message: `token ${id} for ${record.role} ${record.nodeNames.join(', ') || 'of any name'}, ${record.maxUses} uses, until ${new Date(record.expiresAtMs).toISOString()}${record.allowReenroll ? ', may enrol known names again' : ''}`,
    source: caller.address,
  });
  const token = `${id}.${secret}`;
  return create(CreateTokenResponseSchema, {
    token,
    record: tokenMessage(record),
    joinCommand: joinCommand(deps, token, record.nodeNames),
  });
}

function joinCommand(deps: CreateTokenDeps, token: string, nodeNames: readonly string[]): string {
  const [name, ...more] = nodeNames;
  const named = name !== undefined && more.length === 0 && isExact(name) ? ` --node-name ${name}` : '';
  return `kube-mtls-agent join ${deps.bootstrapEndpoint} --token ${token} --ca-hash ${deps.fleetPin}${named}`;
}

type Wishes = Pick<TokenRecord, 'role' | 'nodeNames' | 'maxUses' | 'sourceNetworks' | 'addresses' | 'allowReenroll'>;

function readRequest(request: CreateTokenRequest): Wishes {
  const { nodeNames, sourceNetworks, addresses, allowReenroll } = request;
  const role = roles.toWord(request.role);
  if (role === undefined) throw refusal(`a token needs a role: ${roles.all.join(', ')}`);
  const uses = request.maxUses === 0 ? 1 : request.maxUses;
  if (uses > maxUses) throw refusal(`a token can have 1 to ${maxUses} uses`);
  for (const list of [nodeNames, sourceNetworks, addresses]) {
    if (list.length > maxEntries) throw refusal(`a token can have at most ${maxEntries} names, networks and addresses`);
  }
  for (const name of nodeNames) assertPattern(name);
  if (addresses.length > 0 && uses !== 1) {
    throw refusal(
      'a token with addresses can have one use only, or several nodes would have the same: make one for each node',
    );
  }
  if (allowReenroll && (nodeNames.length === 0 || !nodeNames.every(isExact))) {
    throw refusal('a token that may enrol known names again needs these names, without *');
  }
  return {
    role,
    nodeNames: [...nodeNames],
    maxUses: uses,
    sourceNetworks: sourceNetworks.map(parseNetwork),
    addresses: [...new Set(addresses.map(readAddress))],
    allowReenroll,
  };
}

function assertPattern(name: string): void {
  if (isNamePattern(name)) return;
  throw refusal(
    `${JSON.stringify(name.slice(0, 80))} is no node name and no pattern: use lower-case letters, digits, "-", "." and "*"`,
  );
}

function readAddress(text: string): string {
  const address = canonicalIp(text);
  if (address !== undefined && isReachableAddress(address)) return address;
  throw refusal(`${JSON.stringify(text.slice(0, 60))} is no IP address at which others reach a node`);
}

function readTtl(ttl: Duration | undefined): number {
  if (ttl === undefined) return defaultTtlMs;
  // beyond this a number of milliseconds is not exact any more
  const ms = ttl.seconds > 1_000_000_000n || ttl.seconds < 0n ? 0 : durationMs(ttl);
  if (ms >= minuteMs && ms <= maxTtlMs) return ms;
  throw refusal(`a token lives ${formatDuration(minuteMs)} to ${formatDuration(maxTtlMs)}`);
}

function refusal(message: string): AppError {
  return new AppError('invalid-request', message);
}
