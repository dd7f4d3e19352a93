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
      outcome: z.object({ outcome: z.string(), reason: z.string().default('') }),
    }),
  ),
});

/** Asks the daemon and waits for the end of the pass. */
export async function applyCommand(layout: Layout): Promise<{ text: string; ok: boolean }> {
  const { problem, outcomes } = schema.parse(await askDaemon(layout.controlSocket, 'apply'));
  if (outcomes.length === 0 && problem === '') return { text: 'nothing to do', ok: true };
  const lines = outcomes.map(({ changeId, components, outcome }) => {
    const what = `${components.join(', ')} (${changeId})`;
    return outcome.outcome === 'kept' ? `${what}: verified` : `${what}: ${outcome.outcome}: ${outcome.reason}`;
  });
  // what was done before the problem is told too
  const ok = problem === '' && outcomes.every(({ outcome }) => outcome.outcome === 'kept');
  return { text: [...lines, ...(problem === '' ? [] : [problem])].join('\n'), ok };
}
