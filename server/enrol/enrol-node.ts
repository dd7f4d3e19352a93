/** EnrollNode: a stranger with a bootstrap token becomes a node of the fleet. */
import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { AppError } from '../../common/errors/app-error.ts';
import { roles } from '../../common/names/names.ts';
import { SavedTimes } from '../../common/time/saved-times.ts';
import { type ParsedCsr, parseCsr } from '../../common/x509/csr.ts';
import {
  type EnrollNodeRequest,
  type EnrollNodeResponse,
  EnrollNodeResponseSchema,
} from '../../proto/gen/kubemtls/v1/enrollment_pb.js';
import { fleetEndpoint } from '../config/server-config.ts';
import { recordEvent } from '../events/record-event.ts';
import { type IssueDeps, policyContext } from '../issue/issue-deps.ts';
import { only, recordIntents, signIntents } from '../issue/sign-approvals.ts';
import { approveIdentity } from '../policy/approve.ts';
import { assertNodeName, assertNotApiServer } from '../policy/node-rules.ts';
import type { NodeRecord, TokenRecord } from '../store/store.ts';
import { parseBearer } from '../token/token-text.ts';
import { assertAllows, assertUsable, auditText, authenticateToken, type BootstrapCall } from './check-token.ts';
import { EnrolThrottle } from './enrol-throttle.ts';
import type { InTurn } from './in-turn.ts';
import { nodeAddresses } from './node-addresses.ts';

/** Answers EnrollNode. Rejects unauthenticated, policy-refused, invalid-request, conflict, node-revoked, rate-limited. */
export type EnrolNode = (call: BootstrapCall, request: EnrollNodeRequest) => Promise<EnrollNodeResponse>;

/** How long the same token with the same key may come again. */
const retryWindowMs = 10 * 60_000;

/** What enrolments need. */
export interface EnrolDeps extends IssueDeps {
  /** One enrolment at a time, so that no two take one name, and none while a node is removed. */
  inTurn: InTurn;
}

/** Makes the handler. It remembers who failed. */
export function createEnrolNode(deps: EnrolDeps): EnrolNode {
  const throttle = new EnrolThrottle(deps.clock);
  const enrolled = new SavedTimes(deps.clock);
  return async (call, request) => {
    throttle.assertSource(call.address);
    try {
      const token = await authenticateToken({ store: deps.store, throttle }, call);
      return await deps.inTurn(() => enrol(deps, enrolled, token.id, call, request));
    } catch (thrown) {
      const error = AppError.from(thrown);
      if (error.reason === 'rate-limited') throw error; // neither counted nor audited: it must cost nothing
      if (error.reason !== 'internal' && error.reason !== 'unavailable') throttle.countRefusal(call.address);
      await auditRefusal(deps, call, request, error);
      throw error;
    }
  };
}

async function enrol(
  deps: IssueDeps,
  enrolled: SavedTimes,
  tokenId: string,
  call: BootstrapCall,
  request: EnrollNodeRequest,
): Promise<EnrollNodeResponse> {
  const nowMs = deps.clock.nowMs();
  // read again: another enrolment may have used it meanwhile
  const token = await deps.store.getToken(tokenId);
  if (token === undefined) throw new TypeError('a token does not vanish');

  // 1. what is asked, and whether the token allows it
  const { nodeName } = request;
  const { config } = deps;
  assertNodeName(nodeName, token.role, config);
  assertAllows(token, nodeName, call.address);
  const csr = parseCsr(request.csr);

  // 2. whether the name is free, or this is the same enrolment once more
  const known = await deps.store.getNode(nodeName);
  const retried = isRetry(known, token, csr, enrolled) ? known : undefined;
  if (retried === undefined) assertUsable(token, nowMs);
  const keyHolder = await deps.store.holderOfKey(csr.publicKeyPin);
  if (known?.revoked) assertMayReturn(known, token, keyHolder);
  else assertNameFree(known, token, csr);

  // 3. policy
  const addresses = nodeAddresses(nodeName, token, call.address, await deps.store.listNodes());
  assertNotApiServer({ name: nodeName, addresses }, token.role, config);
  const approval = approveIdentity({ node: { name: nodeName, revoked: false }, csr, keyHolder }, policyContext(deps));

  // 4. serial and intent recorded and audited
  const context = { actor: `token/${token.id}`, source: call.address, changeId: '' };
  const intents = await recordIntents(deps, [approval], context);

  // 5. node and use of the token recorded; after a crash from here on, the retry finds them
  const node: NodeRecord = {
    name: nodeName,
    role: token.role,
    addresses,
    identityPin: csr.publicKeyPin,
    identitySerial: only(intents).serial,
    identityBefore: '',
    identityNotAfterMs: approval.fields.notAfter.getTime(),
    enrolledAtMs: retried?.enrolledAtMs ?? nowMs,
    tokenId: token.id,
    lastSeenAtMs: nowMs,
    agentVersion: readVersion(request.agentVersion),
    mode: known?.mode,
    clockSkewMs: undefined,
    revoked: false,
  };
  enrolled.ageMs(nodeName, node.enrolledAtMs); // from now on
  await deps.store.enrol({ node, useToken: retried === undefined ? token.id : undefined });

  // 6. signed, signature recorded and audited
  const { certificate } = only(await signIntents(deps, intents, context));
  await recordEvent(deps.store, {
    kind: 'enrol.accepted',
    actor: context.actor,
    node: nodeName,
    message: `${nodeName} is a ${token.role} at ${addresses.join(', ')}${known === undefined ? '' : again(known, retried)}`,
    source: call.address,
  });
  return create(EnrollNodeResponseSchema, {
    certificatePem: certificate.pem,
    fleetRootsPem: deps.authorities.rootsPem('fleet'),
    fleetEndpoint: fleetEndpoint(config),
    role: roles.toNumber(token.role),
    addresses,
    serverTime: timestampFromMs(deps.clock.nowMs()),
  });
}

/** True for the same token with the same key within the window: its first answer may have been lost. */
function isRetry(known: NodeRecord | undefined, token: TokenRecord, csr: ParsedCsr, enrolled: SavedTimes): boolean {
  if (known === undefined || known.tokenId !== token.id || known.identityPin !== csr.publicKeyPin) return false;
  return enrolled.ageMs(known.name, known.enrolledAtMs) <= retryWindowMs;
}

function assertNameFree(known: NodeRecord | undefined, token: TokenRecord, csr: ParsedCsr): void {
  if (known === undefined || known.identityPin === csr.publicKeyPin || token.allowReenroll) return;
  throw new AppError(
    'conflict',
    `a node called ${known.name} is enrolled with another key: choose another name, or make the token with --allow-reenroll`,
  );
}

/**
 * A node that was removed comes back, on a machine that was installed anew, by a token that allows re-enrolment (those from
 * before its removal were revoked with it, see remove-node.ts), and with a key that it never had certified: whoever has its old
 * keys, of identities or of components, gains nothing by them. From then on it is a node as any other.
 *
 * @throws AppError node-revoked
 */
function assertMayReturn({ name }: NodeRecord, token: TokenRecord, keyHolder: string | undefined): void {
  if (!token.allowReenroll) {
    const text = `${name} was removed from the fleet: install its machine anew, and make the token with --allow-reenroll`;
    throw new AppError('node-revoked', text);
  }
  if (keyHolder === name) {
    const text = `${name} was removed from the fleet, and this is one of the keys that it had: remove pending.key in the state folder of the agent, and join again with a new key`;
    throw new AppError('node-revoked', text);
  }
}

function again(known: NodeRecord, retried: NodeRecord | undefined): string {
  if (known.revoked) return ', enrolled again, after its removal';
  return retried === undefined ? ', enrolled again' : ', asked once more';
}

/** Only for people to read. */
function readVersion(text: string): string {
  return /^[\w.+~-]{0,64}$/.test(text) ? text : 'unknown';
}

async function auditRefusal(
  deps: IssueDeps,
  call: BootstrapCall,
  request: EnrollNodeRequest,
  error: AppError,
): Promise<void> {
  const tokenId = parseBearer(call.authorization)?.id;
  await recordEvent(deps.store, {
    kind: 'enrol.refused',
    actor: tokenId === undefined ? 'unknown' : `token/${tokenId}`,
    // of a stranger's words only those that can be a name go to the audit
    node: /^[a-z0-9.-]{1,253}$/.test(request.nodeName) ? request.nodeName : '',
    reason: error.reason,
    message: error.reason === 'internal' ? 'an internal error: see the log of the server' : auditText(error),
    source: call.address,
  });
}
