/** Locks of this machine that end with the process that holds them, however it ends: flock(1) on a file. */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { runCommand } from '../../common/run/command.ts';

/** Words before a command that make the kernel end it when this process ends, also by SIGKILL. */
export const ENDS_WITH_US = ['setpriv', '--pdeathsig', 'KILL'] as const;

/** Does something while no other process of this machine does it under the same lock; waits for as long as another one does. */
export async function withMachineLock<T>(file: string, act: () => Promise<T>): Promise<T> {
  await mkdir(dirname(file), { recursive: true });
  const [program, ...words] = ENDS_WITH_US;
  const holder = spawn(program, [...words, 'flock', '--no-fork', file, 'sh', '-c', 'echo taken; exec cat'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  try {
    await firstOutput(holder);
    return await act();
  } finally {
    const ended = new Promise((resolve) => holder.once('close', resolve));
    holder.stdin.end();
    if (holder.exitCode === null) await ended;
  }
}

/** Whether a process has the lock. */
export async function isLocked(file: string): Promise<boolean> {
  return (await runCommand(['flock', '--nonblock', file, 'true'])).code !== 0;
}

/** Waits until a child says its first word. Throws when it ends without one. */
export function firstOutput(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    child.stdout?.once('data', () => resolve());
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`${child.spawnargs.join(' ')} ended with ${code}`)));
  });
}
