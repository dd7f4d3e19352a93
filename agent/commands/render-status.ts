/** Statuses as text for a terminal. */
import { z } from 'zod';

/** A status as the daemon answers it, as far as it is printed. */
export const statusSchema = z.object({
  component: z.string(),
  unit: z.string(),
  version: z.string(),
  state: z.string(),
  reason: z.string(),
  restarts: z.number(),
  reloads: z.number(),
  checks: z.array(
    z.object({
      kind: z.string(),
      result: z.string(),
      summary: z.string(),
      evidence: z.array(z.object({ source: z.string(), line: z.string(), rank: z.string() })),
    }),
  ),
  certificates: z.array(z.object({ path: z.string(), serial: z.string(), notAfterMs: z.number() })),
});

/** One or more lines a component; with evidence the lines that the checks rest on. */
export function renderStatuses(statuses: readonly z.infer<typeof statusSchema>[], withEvidence: boolean): string {
  if (statuses.length === 0) return 'no Kubernetes component was found on this node';
  return statuses.map((status) => renderStatus(status, withEvidence)).join('\n');
}

function renderStatus(status: z.infer<typeof statusSchema>, withEvidence: boolean): string {
  const lines = [
    `${status.component.padEnd(24)} ${status.state.toUpperCase().padEnd(12)} ${status.unit} ${status.version}`,
  ];
  if (status.restarts + status.reloads > 0)
    lines.push(`  restarted ${times(status.restarts)}, took new files up live ${times(status.reloads)}`);
  if (status.reason !== '') lines.push(`  ${status.reason}`);
  for (const check of status.checks) {
    lines.push(`  ${check.result.padEnd(13)}${check.kind.padEnd(10)} ${check.summary}`);
    if (withEvidence)
      for (const { source, line, rank } of check.evidence)
        lines.push(`               ${rank.padEnd(10)} ${source}: ${line}`);
  }
  for (const { path, serial, notAfterMs } of status.certificates) {
    lines.push(`  until ${new Date(notAfterMs).toISOString().slice(0, 16)}Z  ${path}  ${serial}`);
  }
  return lines.join('\n');
}

function times(count: number): string {
  return count === 1 ? 'once' : `${count} times`;
}
