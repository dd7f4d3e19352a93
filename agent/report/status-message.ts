/** Statuses and checks as they go over the wire. */
import { create } from '@bufbuild/protobuf';
import { timestampFromMs, timestampMs } from '@bufbuild/protobuf/wkt';
import {
  authorities,
  checkKinds,
  checkResults,
  componentStates,
  components,
  evidenceRanks,
  profiles,
} from '../../common/names/names.ts';
import {
  type Check,
  CheckSchema,
  type ComponentStatus,
  ComponentStatusSchema,
  type Evidence,
  EvidenceSchema,
} from '../../proto/gen/kubemtls/v1/types_pb.js';
import type { CheckOutcome, EvidenceLine } from '../verify/checks.ts';
import type { Status } from './status-board.ts';

const MAX_LINE = 1000;

/** A status as the server stores it. */
export function statusMessage(status: Status): ComponentStatus {
  return create(ComponentStatusSchema, {
    component: components.toNumber(status.component),
    unit: status.unit,
    version: status.version,
    state: componentStates.toNumber(status.state),
    reason: status.reason,
    checks: status.checks.map(checkMessage),
    certificates: status.certificates.map(({ profile, serial, path, notAfterMs, issuerPin }) => ({
      profile: profiles.toNumber(profile),
      serial,
      path,
      notAfter: timestampFromMs(notAfterMs),
      issuerPin,
    })),
    updatedAt: timestampFromMs(status.updatedAtMs),
    pendingFiles: status.pendingFiles,
    endpoints: status.endpoints,
    restarts: status.restarts,
    reloads: status.reloads,
    trust: status.trust.map(({ authority, rootPins }) => ({ authority: authorities.toNumber(authority), rootPins })),
    ...(status.etcd === undefined ? {} : { etcd: status.etcd }),
  });
}

/** A check with its evidence. */
export function checkMessage(check: CheckOutcome): Check {
  return create(CheckSchema, {
    kind: checkKinds.toNumber(check.kind),
    result: checkResults.toNumber(check.result),
    summary: check.summary,
    evidence: check.evidence.map(evidenceMessage),
  });
}

/** A line of evidence, cut to what the wire takes. */
export function evidenceMessage({ source, line, observedAtMs, cause, rank }: EvidenceLine): Evidence {
  return create(EvidenceSchema, {
    source,
    line: line.slice(0, MAX_LINE),
    observedAt: timestampFromMs(observedAtMs),
    cause,
    rank: evidenceRanks.toNumber(rank),
  });
}

/** A check that the server made, as the agent keeps it; undefined for one it does not know. */
export function checkOutcome(check: Check): CheckOutcome | undefined {
  const kind = checkKinds.toWord(check.kind);
  const result = checkResults.toWord(check.result);
  if (kind === undefined || result === undefined) return undefined;
  const evidence = check.evidence.map(({ source, line, observedAt, cause, rank }) => ({
    source,
    line,
    observedAtMs: observedAt === undefined ? 0 : timestampMs(observedAt),
    cause,
    rank: evidenceRanks.toWord(rank) ?? 'hint',
  }));
  return { kind, result, summary: check.summary, evidence };
}
