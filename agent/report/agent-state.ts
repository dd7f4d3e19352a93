/** What the daemon remembers over restarts: statuses, the server's last settings, changes that failed, files as it left them. */
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { makeFolder, writeFileDurably } from '../../common/files/durable.ts';
import {
  authorities,
  type Component,
  checkKinds,
  checkResults,
  componentStates,
  components,
  evidenceRanks,
  profiles,
  roles,
} from '../../common/names/names.ts';
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
  /** Rises when the roots, or what signs, change: bundles are then to be asked for anew. */
  trustGeneration: number;
}

/** A change that is not made until it differs, or an operator resumes. */
export interface FailedChange {
  fingerprint: string;
  reason: string;
  retryGeneration: number;
  /** When it failed, or was first held up; milliseconds since the epoch. */
  atMs: number;
  /** 'failed' was tried and undone; 'drift' would put back what somebody else changed. */
  kind: 'failed' | 'drift';
}

/** A file that a kept change wrote, as it was when the node last was as it should be. */
export interface KeptFile {
  component: Component;
  path: string;
  /** Lower-case hexadecimal. */
  sha256: string;
  mode: number;
  uid: number;
  gid: number;
}

/** The memory. */
export interface AgentState {
  version: 1;
  settings: AgentSettings | undefined;
  statuses: Status[];
  failed: FailedChange[];
  kept: KeptFile[];
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
      // one of an earlier version knows of none
      kubeletVerification: z.enum(['no', 'await-kubelets', 'with-restart', 'at-once']).default('no'),
      etcdStep: z.enum(['prepare', 'enforce']).optional(),
    })
    .transform((node): NodeSettings => ({ ...node, etcdStep: node.etcdStep })),
  rolloutPaused: z.boolean(),
  retryGeneration: z.number(),
  trustGeneration: z.number().default(0),
});

const checkSchema = z.object({
  kind: z.enum(checkKinds.all),
  result: z.enum(checkResults.all),
  summary: z.string(),
  evidence: z.array(
    z.object({
      source: z.string(),
      line: z.string(),
      observedAtMs: z.number(),
      cause: z.string(),
      // those of earlier versions are not worth more
      rank: z.enum(evidenceRanks.all).default('hint'),
    }),
  ),
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
      z.object({
        profile: z.enum(profiles.all),
        serial: z.string(),
        path: z.string(),
        notAfterMs: z.number(),
        issuerPin: z.string().default(''),
      }),
    ),
    updatedAtMs: z.number(),
    pendingFiles: z.array(z.string()),
    endpoints: z.array(z.string()),
    restarts: z.number(),
    reloads: z.number().default(0),
    trust: z.array(z.object({ authority: z.enum(authorities.all), rootPins: z.array(z.string()) })).default([]),
    etcd: z
      .object({
        clusterId: z.string(),
        members: z.array(z.string()),
        prepared: z.boolean(),
        enforced: z.boolean(),
        plaintext: z.boolean().default(false),
      })
      .optional(),
  })
  .transform((status): Status => ({ ...status, etcd: status.etcd }));

const failedSchema = z.object({
  fingerprint: z.string(),
  reason: z.string(),
  retryGeneration: z.number(),
  atMs: z.number().default(0),
  kind: z.enum(['failed', 'drift']).default('failed'),
});

const keptSchema = z.object({
  component: z.enum(components.all),
  path: z.string(),
  sha256: z.string(),
  mode: z.number(),
  uid: z.number(),
  gid: z.number(),
});

const schema = z.object({
  version: z.literal(1),
  settings: settingsSchema.optional(),
  statuses: z.array(statusSchema),
  failed: z.array(failedSchema),
  kept: z.array(keptSchema).default([]),
});

/** Reads the memory. A missing or damaged one is an empty one: all of it can be found out again. */
export async function loadAgentState(layout: Layout): Promise<AgentState> {
  try {
    const state = schema.parse(JSON.parse(await readFile(layout.stateFile, 'utf8')));
    return { ...state, settings: state.settings };
  } catch {
    return { version: 1, settings: undefined, statuses: [], failed: [], kept: [] };
  }
}

/** Writes the memory. */
export async function saveAgentState(layout: Layout, state: AgentState): Promise<void> {
  await makeFolder(dirname(layout.stateFile), { mode: 0o700 });
  await writeFileDurably(layout.stateFile, `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600 });
}
