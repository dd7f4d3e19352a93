/** `status`: how the node, its session and its components stand. */
import { z } from 'zod';
import { askDaemon } from '../control/control-client.ts';
import { requireEnrolment } from '../enrol/enrolment.ts';
import type { Layout } from '../layout.ts';
import { renderStatuses, statusSchema } from './render-status.ts';

const schema = z.object({
  mode: z.string(),
  enrolment: z.object({ nodeName: z.string(), role: z.string(), fleetEndpoint: z.string() }),
  session: z.object({ connected: z.boolean(), sinceMs: z.number(), problem: z.string(), attempts: z.number() }),
  statuses: z.array(statusSchema),
});

/** Asks the daemon. */
export async function statusCommand(layout: Layout, format: 'text' | 'json'): Promise<string> {
  await requireEnrolment(layout);
  const answer = await askDaemon(layout.controlSocket, 'status');
  if (format === 'json') return JSON.stringify(answer, null, 2);
  const { mode, enrolment, session, statuses } = schema.parse(answer);
  const since = new Date(session.sinceMs).toISOString();
  const link = session.connected
    ? `connected since ${since}`
    : `not connected since ${since}, ${session.attempts} attempts: ${session.problem}`;
  return [
    `node     ${enrolment.nodeName} (${enrolment.role}), ${mode}`,
    `server   ${enrolment.fleetEndpoint}, ${link}`,
    '',
    renderStatuses(statuses, false),
  ].join('\n');
}
