/** EnrollNode: a stranger with a bootstrap token becomes a node of the fleet. */
import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { AppError } from '../../common/errors/app-error.ts';
import { roles } from '../../common/names/names.ts';
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
import { nodeAddresses } from './node-addresses.ts';

/** Answers EnrollNode. Rejects unauthenticated, policy-refused, invalid-request, conflict, node-revoked, rate-limited. */
export type EnrolNode = (call: BootstrapCall, request: EnrollNodeRequest) => Promise<EnrollNodeResponse>;

/** How long the same token with the same key may come again. */
const retryWindowMs = 10 * 60_000;

/** Makes the handler. It remembers who failed, and decides on one enrolment at a time, so that no two take one name. */
export function createEnrolNode(deps: IssueDeps): EnrolNode {
  const throttle = new EnrolThrottle(deps.clock);
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(step: () => Promise<T>): Promise<T> => {
    const turn = last.then(step, step);
    last = turn;
    return turn;
  };

  return async (call, request) => {
    throttle.assertSource(call.address);
    try {
      const token = await authenticateToken({ store: deps.store, throttle }, call);
      return await inTurn(() => enrol(deps, token.id, call, request));
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
  const retried = isRetry(known, token, csr, nowMs) ? known : undefined;
  if (retried === undefined) assertUsable(token, nowMs);
  assertNameFree(known, token, csr);

  // 3. policy
  const addresses = nodeAddresses(nodeName, token, call.address, await deps.store.listNodes());
  assertNotApiServer({ name: nodeName, addresses }, token.role, config);
  const keyHolder = await deps.store.holderOfKey(csr.publicKeyPin);
  const approval = approveIdentity(
    { node: { name: nodeName, revoked: known?.revoked ?? false }, csr, keyHolder },
    policyContext(deps),
  );

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
    identityNotAfterMs: approval.fields.notAfter.getTime(),
    enrolledAtMs: retried?.enrolledAtMs ?? nowMs,
    tokenId: token.id,
    lastSeenAtMs: nowMs,
    agentVersion: readVersion(request.agentVersion),
    mode: known?.mode,
    clockSkewMs: undefined,
    revoked: false,
  };
  await deps.store.enrol({ node, useToken: retried === undefined ? token.id : undefined });

  // 6. signed, signature recorded and audited
  const { certificate } = only(await signIntents(deps, intents, context));
  await recordEvent(deps.store, {
    kind: 'enrol.accepted',
    actor: context.actor,
    node: nodeName,
    message: `${nodeName} is a ${token.role} at ${addresses.join(', ')}${known === undefined ? '' : retried === undefined ? ', enrolled again' : ', asked once more'}`,
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
function isRetry(known: NodeRecord | undefined, token: TokenRecord, csr: ParsedCsr, nowMs: number): boolean {
  if (known === undefined || known.tokenId !== token.id || known.identityPin !== csr.publicKeyPin) return false;
  return nowMs - known.enrolledAtMs <= retryWindowMs;
}

function assertNameFree(known: NodeRecord | undefined, token: TokenRecord, csr: ParsedCsr): void {
  if (known === undefined || known.identityPin === csr.publicKeyPin || token.allowReenroll) return;
  throw new AppError(
    'conflict',
    `a node called ${known.name} is enrolled with another key: choose another name, or make the token with --allow-reenroll`,
  );
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
