/** Running other programs: no shell, a time limit, and the output kept. */
import { spawn } from 'node:child_process';
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

/** Runs a program and waits for its end. Rejects 'deadline' past the limit and 'not-found' when there is no such program. */
export type RunCommand = (argv: readonly [string, ...string[]], options?: CommandOptions) => Promise<CommandResult>;

/** The real one. */
export const runCommand: RunCommand = (argv, options = {}) =>
  new Promise((resolve, reject) => {
    const [program, ...args] = argv;
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], ...signalOf(options) });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      child.kill('SIGKILL');
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
    child.on('close', (code) => {
      clearTimeout(timer);
      if (late) return reject(new AppError('deadline', `${argv.join(' ')} did not end in time`));
      resolve({
        code: code ?? 137,
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
