/** What the server believes of a component's report. An agent may say VERIFIED; the server says so only after it heard the peers. */
import { create } from '@bufbuild/protobuf';
import type { ComponentState } from '../../common/names/names.ts';
import { type Component, componentStates, profiles } from '../../common/names/names.ts';
import {
  type ComponentStatus,
  ComponentStatusSchema,
  ComponentState as State,
} from '../../proto/gen/kubemtls/v1/types_pb.js';
import { tellingProfiles } from '../policy/role-components.ts';

/** What a report leads to. */
export interface Accepted {
  /** What is stored. */
  status: ComponentStatus;
  state: ComponentState;
  /** True when the state is another than before, or the component was changed again. */
  news: boolean;
  /** Given when the rollout has to stop, with the reason. */
  stop: string | undefined;
}

/** What a report is judged by. */
export interface ReportInput {
  component: Component;
  /** What was stored before. */
  previous: ComponentStatus | undefined;
  report: ComponentStatus;
  /** Whether the server issued the telling certificate with this serial to this node and heard no complaint of its peers. */
  proved: (serial: string) => Promise<boolean>;
}

/** Judges a report. */
export async function acceptReport(input: ReportInput): Promise<Accepted> {
  const { component, previous } = input;
  const status = await believe(input);
  const state = componentStates.toWord(status.state) ?? 'detected';
  const before = previous && componentStates.toWord(previous.state);
  const again = previous !== undefined && (status.restarts > previous.restarts || status.reloads > previous.reloads);
  const news = state !== before || (again && state !== 'detected');
  return { status, state, news, stop: news ? whyStop(component, state, before, again, status.reason) : undefined };
}

async function believe(input: ReportInput): Promise<ComponentStatus> {
  const { component, previous, report } = input;
  if (report.state !== State.VERIFIED) return report;
  const serial = tellingSerial(component, report);
  const unchanged = previous !== undefined && serial !== '' && tellingSerial(component, previous) === serial;
  // 1. After a reconnect everything is reported again, and what was degraded was proved anew by its agent.
  if (unchanged && (previous.state === State.VERIFIED || previous.state === State.DEGRADED)) return report;
  // 2. Else the peers' word counts.
  if (serial !== '' && (await input.proved(serial))) return report;
  const reason = `not confirmed by peers: the agent says it is verified${report.reason === '' ? '' : ` (${report.reason})`}`;
  return create(ComponentStatusSchema, { ...report, state: State.FAILED, reason });
}

/** A failure after a change stops the rollout; a refusal before any change does not. */
function whyStop(
  component: Component,
  state: ComponentState,
  before: ComponentState | undefined,
  again: boolean,
  reason: string,
): string | undefined {
  const changed = again || before === 'applying' || before === 'verifying';
  if (state === 'rolled-back') return `${component} was rolled back: ${reason}`;
  if (state === 'failed' && changed) return `${component} failed after it was changed: ${reason}`;
  return undefined;
}

/** Serial of the certificate that tells one change of the component from another, or ''. */
export function tellingSerial(component: Component, status: ComponentStatus): string {
  const telling = status.certificates.find((it) => {
    const profile = profiles.toWord(it.profile);
    return profile !== undefined && tellingProfiles[component].includes(profile);
  });
  return telling?.serial ?? '';
}
