/** What the running systemd says of a unit. */
import { AppError } from '../../common/errors/app-error.ts';
import { type RunCommand, runChecked } from '../../common/run/command.ts';
import { splitQuoted } from './split-quoted.ts';

/** Properties of a unit as systemd has loaded it. */
export interface SystemdState {
  /** "loaded", "not-found", "masked", "bad-setting", … */
  loadState: string;
  /** "active", "inactive", "failed", … */
  activeState: string;
  /** "enabled", "disabled", "static", … */
  unitFileState: string;
  /** The unit file, or ''. */
  fragmentPath: string;
  /** Drop-ins in the order in which systemd applies them. */
  dropInPaths: string[];
  /** User=, '' for root. */
  user: string;
}

const PROPERTIES = 'FragmentPath,DropInPaths,ActiveState,User,LoadState,UnitFileState';

/**
 * Asks systemctl for a unit.
 *
 * @throws AppError 'unavailable' when systemd does not answer: nothing can be said of the node then
 */
export async function systemdState(run: RunCommand, unitName: string, signal: AbortSignal): Promise<SystemdState> {
  const text = await runChecked(run, ['systemctl', 'show', '-p', PROPERTIES, unitName], { timeoutMs: 30_000, signal });
  const values = new Map(text.split('\n').map((line) => [line.replace(/=.*$/, ''), line.replace(/^[^=]*=/, '')]));
  const loadState = values.get('LoadState') ?? '';
  if (loadState === '') throw new AppError('unavailable', `systemctl show says nothing of ${unitName}`);
  return {
    loadState,
    activeState: values.get('ActiveState') ?? '',
    unitFileState: values.get('UnitFileState') ?? '',
    fragmentPath: values.get('FragmentPath') ?? '',
    // systemctl quotes paths that a shell would split
    dropInPaths: splitQuoted(values.get('DropInPaths') ?? '', { path: '' }, 'keep').map((word) => word.text),
    user: values.get('User') ?? '',
  };
}

/**
 * True when the unit belongs to the node's work: it is loaded, and it starts at boot or is up now. One that is merely
 * installed is not touched, nor one that failed and was disabled.
 */
export function isInUse(state: SystemdState): boolean {
  if (state.loadState === 'not-found' || state.loadState === 'masked') return false;
  const enabled = state.unitFileState === 'enabled' || state.unitFileState === 'enabled-runtime';
  return enabled || !['inactive', 'failed', ''].includes(state.activeState);
}
