/** Whether a change that waits for its permit is still the one to make. */
import type { Mode } from '../../common/names/names.ts';
import type { Change } from '../plan/change.ts';
import type { PlanInput } from '../plan/plan-input.ts';
import { planNode } from '../plan/plan-node.ts';
import type { AgentSettings } from '../report/agent-state.ts';
import { whyHeld } from './choose-change.ts';
import { isLiveRenewal } from './renewal.ts';

/**
 * Plans again from what was looked at, with the server's settings and the time as they are now: a permit may take hours, and what
 * it was asked for may be the wrong thing by then, or keep a renewal waiting that needs no restart at all.
 *
 * @param input - what the change was planned from
 * @returns why the node has to be looked at anew, or undefined
 */
export function whyOutdated(
  change: Change,
  input: PlanInput,
  now: { settings: AgentSettings | undefined; mode: Mode; nowMs: number },
): string | undefined {
  const { settings, mode, nowMs } = now;
  if (settings === undefined) return undefined;
  const held = whyHeld(change, { input, settings, mode });
  if (held !== undefined) return held;
  const later = { ...input, settings: settings.node, nowMs };
  const before = new Set(planNode(input).changes.map(({ fingerprint }) => fingerprint));
  const { changes } = planNode(later);
  if (!changes.some(({ fingerprint }) => fingerprint === change.fingerprint))
    return 'the settings of the server changed meanwhile: the node is looked at anew';
  const due = changes.find((each) => !before.has(each.fingerprint) && isLiveRenewal(each, later));
  if (due === undefined) return undefined;
  return `certificates of ${due.components.map(({ component }) => component).join(', ')} are due meanwhile, and need no restart`;
}
