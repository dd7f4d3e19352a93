/** `apply`: one pass of the daemon, now. */
import { z } from 'zod';
import { askDaemon } from '../control/control-client.ts';
import type { Layout } from '../layout.ts';

const schema = z.object({
  problem: z.string(),
  outcomes: z.array(
    z.object({
      changeId: z.string(),
      components: z.array(z.string()),
      outcome: z.object({ outcome: z.string(), reason: z.string().optional(), error: z.unknown().optional() }),
    }),
  ),
});

/** Asks the daemon and waits for the end of the pass. */
export async function applyCommand(layout: Layout): Promise<{ text: string; ok: boolean }> {
  const { problem, outcomes } = schema.parse(await askDaemon(layout.controlSocket, 'apply'));
  if (problem !== '') return { text: problem, ok: false };
  if (outcomes.length === 0) return { text: 'nothing to do', ok: true };
  const lines = outcomes.map(({ changeId, components, outcome }) => {
    const what = `${components.join(', ')} (${changeId})`;
    return outcome.outcome === 'kept'
      ? `${what}: verified`
      : `${what}: ${outcome.outcome}: ${outcome.reason ?? 'see status'}`;
  });
  return { text: lines.join('\n'), ok: outcomes.every(({ outcome }) => outcome.outcome === 'kept') };
}
