/** Debian packages that this machine needs for tests. */
import { runChecked, runCommand } from '../../common/run/command.ts';

const MINUTES_MS = 60_000;

/** Installs what this machine lacks, and returns that. Needs root; asks the package lists only when something is missing. */
export async function installPackages(wanted: readonly string[], say: (text: string) => void): Promise<string[]> {
  const missing: string[] = [];
  for (const name of wanted) {
    const { code, stdout } = await runCommand(['dpkg-query', '-W', `-f=\${db:Status-Status}`, name]);
    if (code !== 0 || stdout !== 'installed') missing.push(name);
  }
  if (missing.length === 0) return [];
  say(`installing ${missing.join(', ')}`);
  await runChecked(runCommand, ['apt-get', 'update', '-qq'], { timeoutMs: 10 * MINUTES_MS });
  await runChecked(
    runCommand,
    ['env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', 'install', '-y', '-qq', '--no-install-recommends', ...missing],
    { timeoutMs: 15 * MINUTES_MS },
  );
  return missing;
}
