/** Taking up what an agent says of its components: judged, stored, told to the others. */
import { create } from '@bufbuild/protobuf';
import { AppError } from '../../common/errors/app-error.ts';
import { type Component, components } from '../../common/names/names.ts';
import type { Survey, TlsObservation } from '../../proto/gen/kubemtls/v1/agent_pb.js';
import {
  type ComponentStatus,
  ComponentStatusSchema,
  type EtcdMembership,
  type Evidence,
} from '../../proto/gen/kubemtls/v1/types_pb.js';
import { recordEvent } from '../events/record-event.ts';
import type { FleetState } from '../fleet/fleet-state.ts';
import { hasPeers } from '../peers/check-peers.ts';
import { isConfirmed } from '../peers/confirmations.ts';
import type { Coordinator } from '../permit/coordinator.ts';
import { roleRuns } from '../policy/role-components.ts';
import type { Stop } from '../rollout/rollout.ts';
import type { Store } from '../store/store.ts';
import { acceptReport } from './accept-report.ts';

/** What reports need. */
export interface ReportDeps {
  store: Store;
  fleet: FleetState;
  permits: Pick<Coordinator, 'stopsRollout'>;
  /** Stops the rollout. */
  pause: (stop: Stop) => Promise<void>;
}

/**
 * Takes up a status. A failure stops the rollout only of a component that the node's role runs and that it had a permit to
 * change, see {@link Coordinator.stopsRollout}; any other report is stored for show.
 *
 * @throws AppError 'invalid-request' for a component that is none
 */
export async function takeReport(node: string, sent: ComponentStatus, deps: ReportDeps): Promise<void> {
  const component = components.toWord(sent.component);
  if (component === undefined) throw new AppError('invalid-request', 'the report names no component');
  const { status, state, news, stop } = await acceptReport({
    component,
    previous: deps.fleet.get(node, component),
    report: clamp(sent),
    proved: async (serial) =>
      (await deps.store.getCertificate(component === 'etcd' ? 'etcd' : 'kubernetes', serial))?.holder === node &&
      (!hasPeers(component) || (await isConfirmed(deps.store, { node, component, serial }))),
  });
  await deps.fleet.put(node, component, status);
  const unheeded = stop === undefined ? undefined : await whyUnheeded(node, component, deps);
  if (news) {
    const said = status.reason === '' ? `${component} is ${state}` : `${component} is ${state}: ${status.reason}`;
    const message = unheeded === undefined ? said : `${said}; ${unheeded}, so the rollout goes on`;
    await recordEvent(deps.store, { kind: `component.${state}`, actor: `node/${node}`, node, message });
  }
  if (stop !== undefined && unheeded === undefined)
    await deps.pause({ actor: `node/${node}`, node, reason: `on ${node} ${stop}`, source: '' });
}

/** Why a failure does not stop the rollout; undefined when it does. */
async function whyUnheeded(node: string, component: Component, deps: ReportDeps): Promise<string | undefined> {
  const { leftOut } = await deps.store.getRollout();
  if (leftOut.includes(node)) return `${node} is left out`;
  const { role } = (await deps.store.getNode(node)) ?? {};
  if (role === undefined || !roleRuns(role, component))
    return `a ${role ?? 'stranger'} has no ${component} that counts`;
  if (await deps.permits.stopsRollout(node, component)) return undefined;
  return `${node} had no permit to change it, or stopped the rollout under it before`;
}

/** Forgets what is not on the node any more. */
export async function takeSurvey(node: string, survey: Survey, deps: ReportDeps): Promise<void> {
  const found = survey.components.flatMap((each) => components.toWord(each) ?? []);
  for (const component of await deps.fleet.keepOnly(node, found)) {
    const message = `${component} is not on the node any more`;
    await recordEvent(deps.store, { kind: 'component.gone', actor: `node/${node}`, node, message });
  }
}

/** Takes up TLS failures read in a log: recorded for those who look, and no more. What a log says degrades nothing; the agent proves it. */
export async function takeObservation(node: string, seen: TlsObservation, deps: ReportDeps): Promise<void> {
  const component = components.toWord(seen.component);
  if (component === undefined) throw new AppError('invalid-request', 'the observation names no component');
  const observation = { ...seen, line: cut(seen.line), cause: cut(seen.cause, 64), remote: cut(seen.remote, 256) };
  const what = [observation.cause, observation.remote === '' ? '' : `with ${observation.remote}`, observation.line];
  const times = seen.count > 1 ? [`${seen.count} times`] : [];
  const message = `${component}: ${[...what.slice(0, 2), ...times, ...what.slice(2)].filter((text) => text !== '').join(', ')}`;
  await recordEvent(deps.store, { kind: 'tls.observed', actor: `node/${node}`, node, message });
}

/** The status with every list and text cut to what a person would read: a node must not be able to fill the store. */
function clamp(status: ComponentStatus): ComponentStatus {
  return create(ComponentStatusSchema, {
    ...status,
    unit: cut(status.unit, 256),
    version: cut(status.version, 64),
    reason: cut(status.reason),
    checks: status.checks.slice(0, 10).map((check) => ({
      ...check,
      summary: cut(check.summary),
      evidence: check.evidence.slice(0, 40).map((line: Evidence) => ({
        ...line,
        source: cut(line.source, 256),
        line: cut(line.line),
        cause: cut(line.cause, 64),
      })),
    })),
    certificates: status.certificates.slice(0, 40).map((certificate) => ({
      ...certificate,
      serial: cut(certificate.serial, 64),
      path: cut(certificate.path),
      issuerPin: cut(certificate.issuerPin, 128),
    })),
    trust: status.trust.slice(0, 10).map((trust) => ({
      ...trust,
      rootPins: trust.rootPins.slice(0, 20).map((pin) => cut(pin, 128)),
    })),
    ...(status.etcd === undefined ? {} : { etcd: clampMembership(status.etcd) }),
    pendingFiles: status.pendingFiles.slice(0, 100).map((path) => cut(path)),
    endpoints: status.endpoints.slice(0, 20).map((endpoint) => cut(endpoint, 256)),
  });
}

function clampMembership(etcd: EtcdMembership): EtcdMembership {
  const members = etcd.members.slice(0, 100).map((name) => cut(name, 256));
  return { ...etcd, clusterId: cut(etcd.clusterId, 64), members };
}

function cut(text: string, most = 1000): string {
  return text.slice(0, most);
}
