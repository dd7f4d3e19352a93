/** A component's command line with our flags: the wish for the file that holds it, and what it is called for a person. */
import type { DetectedProgram, Problem } from '../detect/detected.ts';
import type { FlagDialect } from '../detect/flags.ts';
import { placeOf } from '../detect/load-process.ts';
import { componentFolder } from '../layout.ts';
import { attempt } from './edit-file.ts';
import type { PlanInput } from './plan-input.ts';
import type { FlagEdit } from './rewrite-command.ts';
import type { WishedFile } from './wish.ts';
import { type CommandOptions, type CommandWish, wishCommand } from './wish-command.ts';

/** A command line as it shall be. */
export interface CommandEdits {
  files: WishedFile[];
  restartMark: WishedFile | undefined;
  problems: Problem[];
}

/**
 * The wish; a pod sees the component's folder afterwards.
 *
 * @param leftOut values of the vendor's that the edits leave out for good
 */
export function editCommand(
  { component, process }: DetectedProgram,
  dialect: FlagDialect,
  edits: ReadonlyMap<string, FlagEdit>,
  { layout }: PlanInput,
  leftOut: CommandOptions['leftOut'] = [],
): CommandEdits {
  const { path } = placeOf(process);
  const nothing: CommandWish = { files: [], restartMark: undefined };
  const folders = [componentFolder(layout, component)];
  const { made, problems } = attempt(component, path, nothing, () =>
    wishCommand(process, dialect, edits, { folders, leftOut }),
  );
  return { ...made, problems };
}

/** Names of the flags that are not in force as they shall be. */
export function changedFlags(
  inForce: ReadonlyMap<string, readonly string[]>,
  edits: ReadonlyMap<string, FlagEdit>,
): string[] {
  return [...edits].filter(([name, edit]) => changes(inForce.get(name) ?? [], edit)).map(([name]) => name);
}

function changes(values: readonly string[], edit: FlagEdit): boolean {
  if (edit === 'drop') return values.length > 0;
  return 'set' in edit ? values.at(-1) !== edit.set : values.some((value) => edit.map(value) !== value);
}
