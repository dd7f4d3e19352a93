/** Restarts one component of a change with its new files, and journals that before. */
import { AppError } from '../../common/errors/app-error.ts';
import { writeFileDurably } from '../../common/files/durable.ts';
import type { FileChange } from '../plan/change.ts';
import { nameOf } from '../process/process-ref.ts';
import { advanceChange } from '../stage/change-journal.ts';
import { type ChangeRecord, type ComponentRecord, permitOf, withComponent } from '../stage/change-record.ts';
import { inspectFile, isState } from '../stage/file-state.ts';
import type { TransactionDeps } from '../stage/transaction.ts';
import { restartPod } from './restart-pod.ts';
import { type RestartedUnit, restartUnit } from './restart-unit.ts';

/** A restart and the journal after it. */
export interface ComponentRestart {
  record: ChangeRecord;
  restarted: RestartedUnit;
}

/**
 * Restarts the component's process; a member's new peer URLs are made known right before.
 *
 * @param entry the component in the journal, with every manifest that is to be written
 * @param files those manifests
 * @throws AppError 'unavailable' when systemd or the etcd cluster does not answer, 'conflict' when somebody changed the manifest,
 *   'internal' when nothing is there that would restart a static pod; AbortError when the signal fires
 */
export async function restartComponent(
  deps: TransactionDeps,
  before: ChangeRecord,
  entry: ComponentRecord,
  files: readonly FileChange[],
  signal?: AbortSignal,
): Promise<ComponentRestart> {
  const { component, process, memberUpdate, dependants = [] } = entry;
  const manifests = files.filter((file) => file.restarts);
  if (process.kind === 'none' || (process.kind === 'static-pod' && manifests.length === 0)) {
    throw new AppError('internal', `the change holds nothing that restarts ${component}`);
  }
  await refuseDrift(entry);
  const record = await advanceChange(
    deps.layout,
    withComponent(before, component, { ...entry, restartBegun: true, memberUpdateBegun: memberUpdate !== null }),
    { name: 'restarting', permitId: permitOf(before.state) ?? '' },
  );
  await deps.checkpoint('restart-begun');
  if (memberUpdate !== null) {
    await deps.updateMember(memberUpdate, 'forward', signal);
    await deps.checkpoint('member-updated');
  }
  const restarted =
    process.kind === 'unit'
      ? await restartUnit(deps, component, process.unit, signal)
      : await restartPod(deps, component, process, dependants, () => writeManifests(deps, manifests), signal);
  await deps.checkpoint('unit-restarted');
  const unit = nameOf(process);
  deps.log.info('unit restarted', { changeId: record.changeId, component, unit, detail: restarted.detail });
  return { record, restarted };
}

/** Others restarted first, and that takes its time. */
async function refuseDrift({ files }: ComponentRecord): Promise<void> {
  for (const { path, before, restarts } of files) {
    if (restarts && !isState(await inspectFile(path), before)) {
      throw new AppError('conflict', `${path} changed while others restarted: plan again`);
    }
  }
}

/**
 * kubelet sees a manifest when it gets its name, whole: what is written aside has a name that begins with a dot, and kubelet passes
 * over such names (pkg/kubelet/config/file_linux.go and file.go).
 */
async function writeManifests(deps: TransactionDeps, manifests: readonly FileChange[]): Promise<void> {
  for (const { path, after } of manifests) {
    const { text, mode, uid, gid } = after;
    await writeFileDurably(path, text, { mode, uid, gid });
    await deps.checkpoint('manifest-written');
  }
}
