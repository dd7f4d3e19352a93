/** How a component's command line comes to hold our flags: by a unit's drop-in, or in a static pod's manifest. */
import type { DetectedPod, DetectedUnit } from '../detect/detected.ts';
import type { FlagDialect } from '../detect/flags.ts';
import { type DropIn, wishDropIn } from './drop-in.ts';
import { type FlagEdit, rewriteCommand } from './rewrite-command.ts';
import { type ManifestEdits, markRestart, rewriteManifest } from './rewrite-manifest.ts';
import type { WishedFile } from './wish.ts';

/** Files that bring the command line about. */
export interface CommandWish {
  files: WishedFile[];
  /** As in a Wish; undefined for a unit. */
  restartMark: WishedFile | undefined;
}

/** What the process needs beside its flags. */
export interface CommandOptions {
  /** For a unit: a further environment file. */
  environmentFile?: string;
  /** Folders that the process has to see; those that a pod does not see yet are mounted. */
  folders?: readonly string[];
  /** For a pod: variables of its container. */
  environment?: ManifestEdits['environment'];
  /** For a pod: paths in the commands of its exec probes. */
  probeFlags?: ManifestEdits['probeFlags'];
  /** For a unit: values that the edits leave out for good, as in a DropIn. */
  leftOut?: DropIn['leftOut'];
}

/**
 * The wish for a command line. A unit gets a drop-in, or nothing when nothing is edited and none is there; a pod its manifest.
 *
 * @param edits by flag name without dashes
 * @throws NotUnderstood for a command line that detection would not have taken
 * @throws AppError invalid-request for a manifest that cannot be edited
 */
export function wishCommand(
  process: DetectedUnit | DetectedPod,
  dialect: FlagDialect,
  edits: ReadonlyMap<string, FlagEdit>,
  options: CommandOptions = {},
): CommandWish {
  if (process.kind === 'unit') return { files: wishUnit(process, dialect, edits, options), restartMark: undefined };
  const { folders = [], environment = new Map(), probeFlags = new Map() } = options;
  const text = rewriteManifest(process, dialect, { flags: edits, folders, environment, probeFlags });
  const wish = (after: string): WishedFile => ({
    path: process.manifest.path,
    before: process.manifest,
    after: { ...process.manifest, text: after },
    restarts: true,
  });
  return { files: [wish(text)], restartMark: wish(markRestart(text)) };
}

function wishUnit(
  unit: DetectedUnit,
  dialect: FlagDialect,
  edits: ReadonlyMap<string, FlagEdit>,
  { environmentFile, leftOut = [] }: CommandOptions,
): WishedFile[] {
  const place = { path: unit.files[0]?.path ?? '' };
  return wishDropIn(unit, {
    ...(edits.size > 0 ? { command: rewriteCommand(unit.command, dialect, edits, place) } : {}),
    ...(environmentFile === undefined ? {} : { environmentFile }),
    leftOut,
  });
}
