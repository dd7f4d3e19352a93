/** Gives the server's state to the user that the daemon runs as. */
import { AppError } from '../../common/errors/app-error.ts';
import { type RunCommand, runChecked } from '../../common/run/command.ts';

/** The user of the package kube-mtls-server. */
export const serverUser = 'kube-mtls';
/** getent(1): the key was not found. */
const notFound = 2;

/**
 * Makes everything in the folder the server user's. chown(1) itself walks it, for it follows no link, however fast that
 * user, who owns the folder, swaps one in.
 *
 * @returns false when there is no such user, so that the state stays its maker's
 * @throws AppError unavailable when the user cannot be looked up or the files cannot be given
 */
export async function ownState(stateFolder: string, run: RunCommand): Promise<boolean> {
  const { code, stdout, stderr } = await run(['getent', 'passwd', serverUser]);
  if (code === notFound) return false;
  const ids = /^[^:]*:[^:]*:(\d+):(\d+):/.exec(stdout);
  if (code !== 0 || ids === null) {
    throw new AppError('unavailable', `cannot look up the user ${serverUser} (${code}): ${stderr.trim()}`);
  }
  await runChecked(run, ['chown', '--recursive', '--no-dereference', `${ids[1]}:${ids[2]}`, stateFolder]);
  return true;
}
