/** Running other programs: no shell, a time limit, and the output kept. */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { AppError } from '../errors/app-error.ts';

/** How a program ended. */
export interface CommandResult {
  /** Exit status; 128 + signal number when a signal ended it. */
  code: number;
  stdout: string;
  stderr: string;
}

/** Options of a run. */
export interface CommandOptions {
  /** Ends it with SIGKILL after this time; default 60 000. */
  timeoutMs?: number;
  signal?: AbortSignal;
  /** Text for its standard input; default none. */
  input?: string;
}

/**
 * Runs a program and waits for its end. Rejects 'deadline' past the limit, 'not-found' when there is no such program, and
 * 'unavailable' when the signal fires.
 */
export type RunCommand = (argv: readonly [string, ...string[]], options?: CommandOptions) => Promise<CommandResult>;

/** The real one. */
export const runCommand: RunCommand = (argv, options = {}) =>
  new Promise((resolve, reject) => {
    const [program, ...args] = argv;
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], ...signalOf(options) });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      // a child of the program may hold its output open for ever
      child.stdout.destroy();
      child.stderr.destroy();
      reject(new AppError('deadline', `${argv.join(' ')} did not end in time`));
    }, options.timeoutMs ?? 60_000);
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
    child.stdin.on('error', () => {}); // the program may end without reading
    child.stdin.end(options.input ?? '');
    child.on('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      const missing = error.code === 'ENOENT';
      reject(
        missing ? new AppError('not-found', `there is no program ${program}`, { cause: error }) : AppError.from(error),
      );
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve({
        code: code ?? 128 + (signal === null ? 0 : constants.signals[signal]),
        stdout: Buffer.concat(stdout).toString(),
        stderr: Buffer.concat(stderr).toString(),
      });
    });
  });

/** Runs a program that must succeed and returns its standard output. Rejects 'unavailable' with what it wrote to standard error. */
export async function runChecked(
  run: RunCommand,
  argv: readonly [string, ...string[]],
  options?: CommandOptions,
): Promise<string> {
  const result = await run(argv, options);
  if (result.code !== 0) {
    throw new AppError(
      'unavailable',
      `${argv.join(' ')} failed (${result.code}): ${result.stderr.trim().slice(0, 500)}`,
    );
  }
  return result.stdout;
}

function signalOf(options: CommandOptions): { signal?: AbortSignal } {
  return options.signal === undefined ? {} : { signal: options.signal };
}
