/** What the daemon remembers over restarts: statuses, the server's last settings, and changes that failed. */
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { makeFolder, writeFileDurably } from '../../common/files/durable.ts';
import type { Layout } from '../layout.ts';
import type { NodeSettings } from '../plan/settings.ts';
import type { Status } from './status-board.ts';

/** Settings of the server as far as the agent uses them. */
export interface AgentSettings {
  generation: number;
  heartbeatMs: number;
  node: NodeSettings;
  rolloutPaused: boolean;
  retryGeneration: number;
}

/** A change that was tried and undone: it is not tried again until it differs, or an operator resumes. */
export interface FailedChange {
  fingerprint: string;
  reason: string;
  retryGeneration: number;
}

/** The memory. */
export interface AgentState {
  version: 1;
  settings: AgentSettings | undefined;
  statuses: Status[];
  failed: FailedChange[];
}

/** Reads the memory. A missing or damaged one is an empty one: all of it can be found out again. */
export async function loadAgentState(layout: Layout): Promise<AgentState> {
  const empty: AgentState = { version: 1, settings: undefined, statuses: [], failed: [] };
  try {
    const state: unknown = JSON.parse(await readFile(layout.stateFile, 'utf8'));
    const known = typeof state === 'object' && state !== null && 'version' in state && state.version === 1;
    return known ? { ...empty, ...(state as AgentState) } : empty; // written by saveAgentState of this version
  } catch {
    return empty;
  }
}

/** Writes the memory. */
export async function saveAgentState(layout: Layout, state: AgentState): Promise<void> {
  await makeFolder(dirname(layout.stateFile), { mode: 0o700 });
  await writeFileDurably(layout.stateFile, `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600 });
}
