/** `mode`: lets the daemon change this node, or only report. */
import type { Mode } from '../../common/names/names.ts';
import { runChecked, runCommand } from '../../common/run/command.ts';
import { loadAgentConfig } from '../config/agent-config.ts';
import { requireEnrolment, saveEnrolment } from '../enrol/enrolment.ts';
import type { Layout } from '../layout.ts';

/** Records the mode and restarts the daemon. Returns what to print. */
export async function modeCommand(layout: Layout, mode: Mode): Promise<string> {
  const enrolment = await requireEnrolment(layout);
  const config = await loadAgentConfig(layout.configFile);
  await saveEnrolment(layout, { ...enrolment, mode });
  await runChecked(runCommand, ['systemctl', 'try-restart', 'kube-mtls-agent.service']);
  if (config.mode !== undefined && config.mode !== mode) {
    return `recorded, but ${layout.configFile} says mode: ${config.mode}, and that counts`;
  }
  return mode === 'enforce' ? 'the daemon now changes this node' : 'the daemon now only observes';
}
