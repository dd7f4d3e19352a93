/** The drop-in by which a unit is changed; the vendor's file stays as it is. */
import type { DetectedUnit } from '../detect/detected.ts';
import { type WishedFile, wishFile } from './wish.ts';

/** First line of every file that is wholly ours. */
export const header = '# written by kube-mtls-agent; changes are overwritten';

/** What a drop-in shall say. */
export interface DropIn {
  /** Words of the new command line, ready for ExecStart=; absent leaves the vendor's. */
  command?: string[];
  /** A further environment file, which wins over those before it. */
  environmentFile?: string;
  /** Values of the vendor's that the command leaves out, by flag; see {@link leavesOut}. */
  leftOut?: readonly { flag: string; value: string }[];
}

/** The wish for a unit's drop-in; nothing when none is needed and none is there. */
export function wishDropIn(unit: DetectedUnit, dropIn: DropIn): WishedFile[] {
  const needed = dropIn.command !== undefined || dropIn.environmentFile !== undefined;
  if (!needed && unit.dropIn === undefined) return [];
  return [wishFile(unit.dropInPath, unit.dropIn, renderDropIn(dropIn))];
}

/** The drop-in's text: one flag a line, so that a diff of two can be read. */
export function renderDropIn({ command, environmentFile, leftOut = [] }: DropIn): string {
  const lines = [header, ...leftOut.map(({ flag, value }) => leftOutLine(flag, value)), '[Service]'];
  if (environmentFile !== undefined) lines.push(`EnvironmentFile=${environmentFile.replaceAll('%', '%%')}`);
  if (command !== undefined) lines.push('ExecStart=', `ExecStart=${linesOf(command).join(' \\\n    ')}`);
  return `${lines.join('\n')}\n`;
}

/** True when a drop-in of ours says that it left this value of the vendor's command out, so that it goes on doing so. */
export function leavesOut(dropIn: DetectedUnit['dropIn'], flag: string, value: string): boolean {
  return dropIn?.text.split('\n').includes(leftOutLine(flag, value)) ?? false;
}

/** One line whatever the value holds; a backslash at its end would join the next one. */
function leftOutLine(flag: string, value: string): string {
  return `# without --${flag}=${JSON.stringify(value)}`;
}

/** A flag and its value in the next word share a line. */
function linesOf(command: readonly string[]): string[] {
  const lines: string[] = [];
  for (const [index, word] of command.entries()) {
    const isValue = index > 1 && !/^["']?-/.test(word) && /^--?[\w-]+$/.test(command[index - 1] ?? '');
    if (isValue) lines.push(`${lines.pop()} ${word}`);
    else lines.push(word);
  }
  return lines;
}
