/** Makes a bootstrap token. Its secret is shown once and kept only as a hash. */
import { createHash, randomBytes } from 'node:crypto';
import { BlockList, isIP } from 'node:net';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { durationMs } from '@bufbuild/protobuf/wkt';
import { AppError } from '../../common/errors/app-error.ts';
import { roles } from '../../common/names/names.ts';
import type { Clock } from '../../common/time/clock.ts';
import { canonicalIp } from '../../common/x509/ip-address.ts';
import type { CreateTokenRequest, CreateTokenResponseSchema } from '../../proto/gen/kubemtls/v1/token_pb.js';
import { actorOf, type Caller } from '../caller.ts';
import { recordEvent } from '../events/record-event.ts';
import type { Store, TokenRecord } from '../store/store.ts';
import { tokenMessage } from './token-message.ts';

/** What a token is made with. */
export interface CreateTokenDeps {
  store: Pick<Store, 'insertToken' | 'appendEvent'>;
  clock: Clock;
  /** HOST:PORT of the bootstrap listener, for the join line. */
  bootstrapEndpoint: string;
  /** sha256:HEX of the fleet CA's public key, for the join line. */
  fleetPin: string;
}

const DAY_MS = 86_400_000;
const LEAST_TTL_MS = 60_000;
const MOST_TTL_MS = 30 * DAY_MS;
const MOST_USES = 1000;
const MOST_ENTRIES = 64;

/**
 * Answers CreateToken.
 *
 * @throws AppError invalid-request for a role, name, network, address, lifetime or number of uses that is out of bounds
 */
export async function createToken(
  request: CreateTokenRequest,
  caller: Caller,
  deps: CreateTokenDeps,
): Promise<MessageInitShape<typeof CreateTokenResponseSchema>> {
  const id = randomText(8);
  const secret = randomText(32); // 32 of 36 letters: 165 bits
  const record = recordOf(request, caller, deps.clock.nowMs(), id, secret);
  await deps.store.insertToken(record);
  await recordEvent(deps.store, {
    kind: 'token.created',
    actor: actorOf(caller),
    source: caller.address,
    message: `token ${id} for ${record.maxUses} ${record.role} node(s): ${record.nodeNames.join(', ') || 'any name'}`,
  });
  const token = `${id}.${secret}`;
  return { token, record: tokenMessage(record), joinCommand: joinCommand(deps, token, record) };
}

/** SHA-256 of a token's secret, hexadecimal; the secret is random and long, so that no slower hash is needed. */
export function hashSecret(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

function recordOf(request: CreateTokenRequest, caller: Caller, nowMs: number, id: string, secret: string): TokenRecord {
  const role = roles.toWord(request.role);
  if (role === undefined) throw refusal('give the role that nodes get: control-plane, worker or etcd');
  const ttlMs = request.ttl === undefined ? DAY_MS : durationMs(request.ttl);
  if (ttlMs < LEAST_TTL_MS || ttlMs > MOST_TTL_MS) throw refusal('a token lives 1 minute to 30 days');
  const maxUses = request.maxUses === 0 ? 1 : request.maxUses;
  if (maxUses > MOST_USES) throw refusal(`a token enrols at most ${MOST_USES} nodes`);
  const { nodeNames, addresses, sourceNetworks } = request;
  for (const list of [nodeNames, addresses, sourceNetworks]) {
    if (list.length > MOST_ENTRIES) throw refusal(`at most ${MOST_ENTRIES} names, addresses or networks`);
  }
  if (addresses.length > 0 && maxUses > 1) throw refusal('addresses belong to one node: such a token has one use');
  return {
    id,
    secretSha256: hashSecret(secret),
    role,
    nodeNames: nodeNames.map(checkedPattern),
    addresses: addresses.map(checkedAddress),
    sourceNetworks: sourceNetworks.map(checkedNetwork),
    expiresAtMs: nowMs + ttlMs,
    maxUses,
    uses: 0,
    revoked: false,
    allowReenroll: request.allowReenroll,
    createdBy: actorOf(caller),
    createdAtMs: nowMs,
  };
}

/** RFC 1123 subdomain in lower case, with * for any run of characters but dots. */
function checkedPattern(name: string): string {
  if (name.length <= 253 && /^[a-z0-9*]([-a-z0-9*]*[a-z0-9*])?(\.[a-z0-9*]([-a-z0-9*]*[a-z0-9*])?)*$/.test(name))
    return name;
  throw refusal(`"${name.slice(0, 100)}" is no node name: use a-z, 0-9, "-" and ".", and * as in "worker-*"`);
}

function checkedAddress(text: string): string {
  const address = canonicalIp(text);
  if (address !== undefined) return address;
  throw refusal(`"${text.slice(0, 100)}" is no IP address`);
}

function checkedNetwork(text: string): string {
  const [address = '', prefix = '', ...more] = text.split('/');
  const family = isIP(address);
  try {
    if (family === 0 || more.length > 0 || !/^\d{1,3}$/.test(prefix)) throw new Error('no network');
    new BlockList().addSubnet(address, Number(prefix), family === 6 ? 'ipv6' : 'ipv4');
    return text;
  } catch (error) {
    throw new AppError('invalid-request', `"${text.slice(0, 100)}" is no network: write it as 10.0.0.0/16`, {
      cause: error,
    });
  }
}

function joinCommand(deps: CreateTokenDeps, token: string, { nodeNames }: TokenRecord): string {
  const [name, ...others] = nodeNames;
  const exact = name !== undefined && others.length === 0 && !name.includes('*') ? ` --node-name ${name}` : '';
  return `kube-mtls-agent join ${deps.bootstrapEndpoint} --token ${token} --ca-hash ${deps.fleetPin}${exact}`;
}

/** Letters and digits, each equally likely. */
function randomText(length: number): string {
  const letters = 'abcdefghijklmnopqrstuvwxyz0123456789';
  let text = '';
  while (text.length < length) {
    for (const byte of randomBytes(length)) {
      if (byte < 252 && text.length < length) text += letters[byte % 36]; // 252 = 7 * 36: no letter is favoured
    }
  }
  return text;
}

function refusal(message: string): AppError {
  return new AppError('invalid-request', message);
}
