/** What the journal of a change holds: everything that recovery needs without the plan. */
import { z } from 'zod';
import { components } from '../../common/names/names.ts';
import { podRefSchema, processRefSchema } from '../process/process-ref.ts';

const markSchema = z.strictObject({
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  mode: z.int().min(0).max(0o7777),
  uid: z.int().min(0),
  gid: z.int().min(0),
});

const fileSchema = z.strictObject({
  path: z.string().startsWith('/'),
  /** As it was, with the name of its copy in the folder of the change; null when there was no file. */
  before: markSchema.extend({ copy: z.string().regex(/^before-[0-9]+$/) }).nullable(),
  after: markSchema,
  /** Written in the stage restart, since it restarts the pod. */
  restarts: z.boolean(),
});

const componentSchema = z.strictObject({
  component: z.enum(components.all),
  process: processRefSchema,
  /** 'live': the process takes the new files up by itself and is not restarted unless that fails. */
  takeUp: z.enum(['restart', 'live']),
  /** Folder of the versions and of the link `current`. */
  folder: z.string().startsWith('/'),
  /** What `current` named before; null when there was no link. */
  oldTarget: z.string().min(1).nullable(),
  /** Name of the new version, which `current` shall name. */
  newTarget: z.string().regex(/^v[0-9A-Za-z-]+$/),
  files: z.array(fileSchema),
  memberUpdate: z
    .strictObject({ memberId: z.string(), before: z.array(z.string()), after: z.array(z.string()) })
    .nullable(),
  /** True from just before the cluster is told the new peer URLs. */
  memberUpdateBegun: z.boolean(),
  /** The process before the first switch; null until then. */
  processBefore: z
    .strictObject({
      invocationId: z.string(),
      activeState: z.string(),
      /** False for a unit that was stopped and disabled, which is not started, and where nothing runs. */
      wanted: z.boolean(),
    })
    .nullable(),
  /** True from just before the process is restarted with the new files. */
  restartBegun: z.boolean(),
  /** Static pods that cannot work while this one restarts. */
  dependants: z.array(z.strictObject({ component: z.enum(components.all), process: podRefSchema })).optional(),
  /** Containers of a static pod that the undo replaces; from just before it puts the manifest back. */
  replacedIds: z.array(z.string()).optional(),
  /** Invocation or container that the undo started; null until then. */
  restoredInvocationId: z.string().nullable(),
});

const permitId = z.string();
const reason = z.string();

/**
 * How far a change came. Legal ways:
 *
 *     staging → staged → permitted → switching → switched → restarting → verifying → kept
 *     verifying → restarting   (what should have taken its files up by itself is restarted after all)
 *     staging | staged | permitted                              → discarded   (nothing in use was touched)
 *     switching | switched | restarting | verifying | undoing   → undoing → undone
 *
 * `staging` stands in the journal before anything is made outside the folder of the change. `restarting` repeats as units and
 * the etcd membership go on, `undoing` as the undo goes on. Nothing leaves kept, undone and discarded.
 */
const stateSchema = z.discriminatedUnion('name', [
  z.strictObject({ name: z.literal('staging') }),
  z.strictObject({ name: z.literal('staged') }),
  z.strictObject({ name: z.literal('permitted'), permitId }),
  z.strictObject({ name: z.literal('switching'), permitId }),
  z.strictObject({ name: z.literal('switched'), permitId }),
  z.strictObject({ name: z.literal('restarting'), permitId }),
  z.strictObject({ name: z.literal('verifying'), permitId }),
  z.strictObject({ name: z.literal('kept'), permitId }),
  z.strictObject({ name: z.literal('undoing'), permitId, reason }),
  z.strictObject({ name: z.literal('undone'), permitId, reason }),
  z.strictObject({ name: z.literal('discarded'), permitId: permitId.nullable(), reason }),
]);

/** The journal of one change, version 1. Unknown fields make it unreadable, since a later agent wrote it. */
export const changeRecordSchema = z.strictObject({
  version: z.literal(1),
  changeId: z.string().regex(/^[0-9A-Za-z-]{1,64}$/),
  fingerprint: z.string(),
  createdAtMs: z.int(),
  state: stateSchema,
  /** Folders that did not exist before and go away again when they are empty; parents first. */
  newFolders: z.array(z.string().startsWith('/')),
  /** In the order in which they restart. */
  components: z.array(componentSchema).min(1),
  /** Files that somebody else had changed when they were restored, and where that content is kept now. */
  foreign: z.array(z.strictObject({ path: z.string(), savedAs: z.string() })),
});

/** The journal of one change. */
export type ChangeRecord = z.infer<typeof changeRecordSchema>;
/** One component in it. */
export type ComponentRecord = ChangeRecord['components'][number];
/** One file in it. */
export type FileRecord = ComponentRecord['files'][number];
/** How far it came. */
export type ChangeState = ChangeRecord['state'];
/** Name of a state. */
export type StateName = ChangeState['name'];

const NEXT: Record<StateName, readonly StateName[]> = {
  staging: ['staged', 'discarded'],
  staged: ['permitted', 'discarded'],
  permitted: ['switching', 'discarded'],
  switching: ['switched', 'undoing'],
  switched: ['restarting', 'undoing'],
  restarting: ['restarting', 'verifying', 'undoing'],
  verifying: ['kept', 'restarting', 'undoing'],
  kept: [],
  undoing: ['undoing', 'undone'],
  undone: [],
  discarded: [],
};

/** True when a change may go from one state to the other. */
export function isLegal(from: StateName, to: StateName): boolean {
  return NEXT[from].includes(to);
}

/** True while nothing that a component uses was touched: such a change is discarded, not undone. */
export function isBeforeSwitch(state: ChangeState): boolean {
  return state.name === 'staging' || state.name === 'staged' || state.name === 'permitted';
}

/** True when the change came to its end, good or bad. */
export function isFinished(state: ChangeState): boolean {
  return state.name === 'kept' || state.name === 'undone' || state.name === 'discarded';
}

/** The permit under which it ran, or null when it had none yet. */
export function permitOf(state: ChangeState): string | null {
  return 'permitId' in state ? state.permitId : null;
}

/** The record with one component's entry replaced. */
export function withComponent(
  record: ChangeRecord,
  component: ComponentRecord['component'],
  patch: Partial<ComponentRecord>,
): ChangeRecord {
  const components = record.components.map((each) => (each.component === component ? { ...each, ...patch } : each));
  return { ...record, components };
}
