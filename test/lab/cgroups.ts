/**
 * A cgroup of its own for each host of a lab, in every hierarchy. systemd removes and kills what it finds below the cgroup that it
 * takes for the root: two hosts in one cgroup remove and kill each other's services.
 */
import { existsSync } from 'node:fs';
import { readdir, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { runCommand } from '../../common/run/command.ts';

const ROOT = '/sys/fs/cgroup';
const ALL = 'kube-mtls-lab';

/** Enters a cgroup in every hierarchy, then runs the words that follow. A cpuset takes nobody before it has processors and memory. */
const ENTER = `for hierarchy in "$1" "$1"/*/; do
  [ -e "$hierarchy/cgroup.procs" ] && ! [ -L "\${hierarchy%/}" ] || continue
  own=$hierarchy
  for part in ${ALL} "$2" "$3"; do
    above=$own own=$own/$part
    mkdir -p "$own"
    for set in cpuset.mems cpuset.cpus; do
      if [ -e "$own/$set" ] && [ -z "$(cat "$own/$set")" ]; then cat "$above/$set" >"$own/$set"; fi
    done
  done
  echo $$ >"$own/cgroup.procs"
done
shift 3
exec "$@"`;

/** Words before a command that let it run in the cgroups of a host; `labFolder` tells which lab it belongs to. */
export function inCgroupsOf(labFolder: string, host: string): string[] {
  return ['bash', '-euc', ENTER, 'enter-cgroups', ROOT, basename(labFolder), host];
}

/** Lets a host use so much of one processor, 0.2 for a fifth; of a second it has its share in ten pieces. */
export async function limitProcessor(labFolder: string, host: string, share: number): Promise<void> {
  const periodUs = 100_000;
  const quotaUs = Math.round(share * periodUs);
  const own = (hierarchy: string, file: string) => join(ROOT, hierarchy, ALL, basename(labFolder), host, file);
  const old = own('cpu', 'cpu.cfs_quota_us');
  if (existsSync(old)) await writeFile(old, String(quotaUs));
  else await writeFile(own('.', 'cpu.max'), `${quotaUs} ${periodUs}`);
}

/**
 * Removes the cgroups of a host, or those of all hosts of a lab; each process in them has to have ended. What is busy or not there is
 * left.
 */
export async function removeCgroups(labFolder: string, host = ''): Promise<void> {
  for (const hierarchy of ['.', ...(await readdir(ROOT))]) {
    const all = join(ROOT, hierarchy, ALL);
    await runCommand(['find', join(all, basename(labFolder), host), '-depth', '-type', 'd', '-delete']);
    await runCommand(['rmdir', all]); // another lab may be there
  }
}
