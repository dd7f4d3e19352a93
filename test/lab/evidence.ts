/** What is kept of the hosts of a failed test: the journals, logs and consoles that tell why it failed. */
import { copyFile, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Host } from './host.ts';
import { LAB } from './places.ts';

const FAILED = join(LAB, 'failed');
/** So many failures are kept; older ones make room. */
const MOST_KEPT = 20;
const MOST_BYTES = 256 * 1024 * 1024;

/** Each file of the evidence with the command that prints it; one that fails leaves its error output. */
const COMMANDS = {
  'journal.log': 'journalctl --no-pager -o short-precise',
  'agent.log': 'kube-mtls-agent status; echo; kube-mtls-agent plan',
  'fleet.log': 'kube-mtls fleet; echo; kube-mtls events --limit 1000',
  'units.log': 'systemctl --no-pager list-units --all; ps axf; ss -tnpa',
  'pods.log': 'tail -n +1 /var/log/pods/*/*/*.log',
  'changes.log': 'find /etc/kubernetes /etc/kube-mtls /etc/systemd/system /var/lib/kube-mtls-agent -ls',
} as const;

/** Keeps the evidence of these hosts in a new folder, and returns its path. A host that does not answer does not stop it. */
export async function keepEvidence(what: string, hosts: readonly Host[]): Promise<string> {
  const time = new Date().toISOString().replaceAll(':', '').slice(0, 17);
  const folder = join(FAILED, `${time}-${what.replaceAll(/[^\w.-]+/g, '-').slice(0, 60)}`);
  await Promise.all(
    hosts.map(async (host) => {
      const own = join(folder, host.name);
      await mkdir(own, { recursive: true });
      await copyFile(join(host.folder, 'console.log'), join(own, 'console.log')).catch(() => undefined);
      for (const [file, command] of Object.entries(COMMANDS)) {
        const { stdout, stderr } = await host
          .run(['bash', '-c', command], { timeoutMs: 20_000, mostBytes: MOST_BYTES })
          .catch((error: unknown) => ({ stdout: '', stderr: String(error) }));
        await writeFile(join(own, file), stdout + stderr);
      }
    }),
  );
  const all = (await readdir(FAILED)).sort();
  for (const old of all.slice(0, -MOST_KEPT)) await rm(join(FAILED, old), { recursive: true });
  return folder;
}
