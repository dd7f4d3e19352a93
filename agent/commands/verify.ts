/** `verify`: proves every managed component anew. */
import { z } from 'zod';
import { askDaemon } from '../control/control-client.ts';
import type { Layout } from '../layout.ts';
import { renderStatuses, statusSchema } from './render-status.ts';

const schema = z.object({ statuses: z.array(statusSchema) });

/** Asks the daemon and waits. Not ok when a component is anything but verified, or when there is none. */
export async function verifyCommand(layout: Layout, format: 'text' | 'json'): Promise<{ text: string; ok: boolean }> {
  const { statuses } = schema.parse(await askDaemon(layout.controlSocket, 'verify'));
  const ok = statuses.length > 0 && statuses.every(({ state }) => state === 'verified');
  return { text: format === 'json' ? JSON.stringify(statuses, null, 2) : renderStatuses(statuses, true), ok };
}
