/** Whether components are set up as they were when a change was planned, asked once it may begin: a permit may take hours. */
import type { Detected, DetectedNode } from '../detect/detected.ts';
import type { Change } from '../plan/change.ts';

/**
 * Our drop-in holds the whole command as it was found: put over one that was edited meanwhile it would bring the old flags back. The
 * files that the change itself writes are compared when it is applied.
 *
 * @param now as detection finds the node at this moment
 * @returns which component has to be planned again, or undefined
 */
export function changedSince({ components }: Pick<Change, 'components'>, now: DetectedNode): string | undefined {
  const changed = components.find(({ component, detected }) => {
    const found = now.components.find((each) => each.component === component);
    return found === undefined || setUpOf(found) !== setUpOf(detected);
  });
  return changed && `${changed.component} was set up otherwise while the change waited: plan again`;
}

/** What the plan of a process is made from. */
function setUpOf({ process }: Detected): string {
  if (process.kind === 'none') return '';
  if (process.kind === 'static-pod') return process.manifest.text;
  const { command, environment, user, uid, gid } = process;
  return JSON.stringify([command.map(({ raw }) => raw), [...environment], user, uid, gid]);
}
