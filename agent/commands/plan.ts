/** `plan`: what would change on this node. Reads, asks the server for the roots, and changes nothing. */
import { AppError } from '../../common/errors/app-error.ts';
import { loadAgentConfig } from '../config/agent-config.ts';
import type { Detected } from '../detect/detected.ts';
import { explainNotAsked, type OnNotAsked } from '../detect/version.ts';
import { requireEnrolment } from '../enrol/enrolment.ts';
import type { Layout } from '../layout.ts';
import { createServerLink } from '../link/server-link.ts';
import { realMachine } from '../machine.ts';
import { logElsewhere } from '../plan/log-place.ts';
import { planNode } from '../plan/plan-node.ts';
import { renderPlan } from '../plan/render-diff.ts';
import { lookAtNode } from '../reconcile/look.ts';
import { loadAgentState } from '../report/agent-state.ts';

/** Plans with the settings that the daemon last heard. Exit code 0: nothing to do, 2: something, 3: something is blocked. */
export async function planCommand(layout: Layout, signal: AbortSignal): Promise<{ text: string; exitCode: number }> {
  const enrolment = await requireEnrolment(layout);
  const config = await loadAgentConfig(layout.configFile);
  const { settings } = await loadAgentState(layout);
  if (settings === undefined) {
    throw new AppError('unavailable', 'the server has not told this node yet what it is: see "kube-mtls-agent status"');
  }
  const link = createServerLink(layout, enrolment.fleetEndpoint, realMachine.clock);
  try {
    const { keyAlgorithm } = config;
    const notes: string[] = [];
    const onNotAsked: OnNotAsked = (program, why) =>
      notes.push(`${program} is not asked for its version\n  ${explainNotAsked(why)}\n`);
    const { run, clock, probe } = realMachine;
    const deps = { layout, run, clock, link, probe, overrides: config, onNotAsked, keyAlgorithm };
    const input = await lookAtNode(deps, settings.node, signal);
    const plan = planNode(input);
    for (const detected of input.detected.components) notes.push(...noteOfLog(detected));
    const exitCode = plan.problems.length > 0 ? 3 : plan.changes.length > 0 ? 2 : 0;
    return { text: [renderPlan(plan), ...notes].join('\n'), exitCode };
  } finally {
    link.close();
  }
}

function noteOfLog(detected: Detected): string[] {
  const place = logElsewhere(detected);
  if (place === undefined) return [];
  return [
    `${detected.process.name} writes its log to ${place}, which is not read\n` +
      '  the check of its journal is inconclusive then; handshakes, the cluster and the peers prove the component\n',
  ];
}
