/** Whether a change that waits for its permit is still the one to make. */
import type { Mode } from '../../common/names/names.ts';
import type { Change } from '../plan/change.ts';
import type { PlanInput } from '../plan/plan-input.ts';
import { planNode } from '../plan/plan-node.ts';
import type { AgentSettings } from '../report/agent-state.ts';
import { whyHeld } from './choose-change.ts';
import { isLiveRenewal } from './renewal.ts';

/** What may have changed since a change was planned. */
export interface Now {
  settings: AgentSettings | undefined;
  mode: Mode;
  nowMs: number;
  monotonicMs: number;
}

/** A plan that was made so lately stands: whoever waits asks every two seconds, and certificates are due for hours. */
const STANDS_MS = 30_000;

/**
 * Plans again from what was looked at, with the server's settings and the time as they are now: a permit may take hours, and what
 * it was asked for may be the wrong thing by then, or keep a renewal waiting that needs no restart at all.
 *
 * @param input - what the change was planned from
 * @returns what tells, whenever it is asked, why the node has to be looked at anew; undefined when it has not to be
 */
export function watchOutdated(change: Change, input: PlanInput): (now: Now) => string | undefined {
  let before: ReadonlySet<string> | undefined;
  let last: { node: string; atMonotonicMs: number; reason: string | undefined } | undefined;
  return ({ settings, mode, nowMs, monotonicMs }) => {
    if (settings === undefined) return undefined;
    const held = whyHeld(change, { input, settings, mode });
    if (held !== undefined) return held;
    const node = JSON.stringify(settings.node);
    if (last === undefined || last.node !== node || monotonicMs - last.atMonotonicMs >= STANDS_MS) {
      before ??= new Set(planNode(input).changes.map(({ fingerprint }) => fingerprint));
      const reason = whyOther(change, before, { ...input, settings: settings.node, nowMs });
      last = { node, atMonotonicMs: monotonicMs, reason };
    }
    return last.reason;
  };
}

function whyOther(change: Change, before: ReadonlySet<string>, later: PlanInput): string | undefined {
  const { changes } = planNode(later);
  if (!changes.some(({ fingerprint }) => fingerprint === change.fingerprint))
    return 'the settings of the server changed meanwhile: the node is looked at anew';
  const due = changes.find((each) => !before.has(each.fingerprint) && isLiveRenewal(each, later));
  if (due === undefined) return undefined;
  return `certificates of ${due.components.map(({ component }) => component).join(', ')} are due meanwhile, and need no restart`;
}
