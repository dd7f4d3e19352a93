/** Running a program whose output is read while it runs. */
import { spawn } from 'node:child_process';

/** How a program ended. */
export interface ProgramEnd {
  /** Exit status; 127 when it could not be started, 137 when a signal ended it. */
  code: number;
  /** The first 4 KiB of what it wrote to standard error. */
  stderr: string;
}

/** A program that runs. */
export interface RunningProgram {
  /** Its standard output; ends with the program. */
  stdout: AsyncIterable<Uint8Array>;
  /** Settles when it has ended; never rejects. */
  ended: Promise<ProgramEnd>;
  /** Ends it at once; harmless when it has ended. */
  kill(): void;
}

/** Starts a program, without a shell. */
export type SpawnProgram = (argv: readonly [string, ...string[]]) => RunningProgram;

const STDERR_BYTES = 4096;

/** The real one. */
export const spawnProgram: SpawnProgram = ([program, ...args]) => {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => {
    stderr = (stderr + chunk.toString()).slice(0, STDERR_BYTES);
  });
  const ended = new Promise<ProgramEnd>((resolve) => {
    child.on('error', (error) => resolve({ code: 127, stderr: error.message }));
    child.on('close', (code) => resolve({ code: code ?? 137, stderr: stderr.trim() }));
  });
  return { stdout: child.stdout, ended, kill: () => void child.kill('SIGKILL') };
};
