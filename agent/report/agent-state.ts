/** What the daemon remembers over restarts: statuses, the server's last settings, and changes that failed. */
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { makeFolder, writeFileDurably } from '../../common/files/durable.ts';
import { checkKinds, checkResults, componentStates, components, profiles, roles } from '../../common/names/names.ts';
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

const settingsSchema = z.object({
  generation: z.number(),
  heartbeatMs: z.number(),
  node: z
    .object({
      nodeName: z.string(),
      role: z.enum(roles.all),
      addresses: z.array(z.string()),
      cluster: z.object({
        name: z.string(),
        apiEndpoint: z.string(),
        serviceAddress: z.string(),
        dnsDomain: z.string(),
      }),
      verifyKubelets: z.boolean(),
      etcdStep: z.enum(['prepare', 'enforce']).optional(),
    })
    .transform((node): NodeSettings => ({ ...node, etcdStep: node.etcdStep })),
  rolloutPaused: z.boolean(),
  retryGeneration: z.number(),
});

const checkSchema = z.object({
  kind: z.enum(checkKinds.all),
  result: z.enum(checkResults.all),
  summary: z.string(),
  evidence: z.array(z.object({ source: z.string(), line: z.string(), observedAtMs: z.number(), cause: z.string() })),
});

const statusSchema = z
  .object({
    component: z.enum(components.all),
    unit: z.string(),
    version: z.string(),
    state: z.enum(componentStates.all),
    reason: z.string(),
    checks: z.array(checkSchema),
    certificates: z.array(
      z.object({ profile: z.enum(profiles.all), serial: z.string(), path: z.string(), notAfterMs: z.number() }),
    ),
    updatedAtMs: z.number(),
    pendingFiles: z.array(z.string()),
    endpoints: z.array(z.string()),
    restarts: z.number(),
    etcd: z
      .object({
        clusterId: z.string(),
        members: z.array(z.string()),
        prepared: z.boolean(),
        enforced: z.boolean(),
      })
      .optional(),
  })
  .transform((status): Status => ({ ...status, etcd: status.etcd }));

const schema = z.object({
  version: z.literal(1),
  settings: settingsSchema.optional(),
  statuses: z.array(statusSchema),
  failed: z.array(z.object({ fingerprint: z.string(), reason: z.string(), retryGeneration: z.number() })),
});

/** Reads the memory. A missing or damaged one is an empty one: all of it can be found out again. */
export async function loadAgentState(layout: Layout): Promise<AgentState> {
  try {
    const { version, settings, statuses, failed } = schema.parse(JSON.parse(await readFile(layout.stateFile, 'utf8')));
    return { version, settings, statuses, failed };
  } catch {
    return { version: 1, settings: undefined, statuses: [], failed: [] };
  }
}

/** Writes the memory. */
export async function saveAgentState(layout: Layout, state: AgentState): Promise<void> {
  await makeFolder(dirname(layout.stateFile), { mode: 0o700 });
  await writeFileDurably(layout.stateFile, `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600 });
}
