/** Running other programs: no shell, a time limit, and the output kept. */
import { type SpawnOptions, spawn } from 'node:child_process';
import { constants } from 'node:os';
import type { Readable } from 'node:stream';
import { AppError } from '../errors/app-error.ts';
import { openTrusted } from './open-trusted.ts';

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
  /** Most bytes of each of its two outputs; one that writes more is ended. Default 16 MiB. */
  mostBytes?: number;
  /**
   * True for a program that somebody else may have chosen: it runs only where {@link openTrusted} lets it, by its descriptor, and
   * with an empty environment, in / and without input.
   */
  distrusted?: boolean;
}

/** What it takes to start a program. */
interface Start extends Pick<SpawnOptions, 'argv0' | 'cwd' | 'env'> {
  /** What is executed. */
  file: string;
}

const MOST_BYTES = 16 * 1024 * 1024;

/**
 * Runs a program and waits for its end. Rejects 'deadline' past the limit, 'not-found' when there is no such program,
 * 'unavailable' when the signal fires or the program writes too much, and 'policy-refused' for a distrusted program that is not run.
 */
export type RunCommand = (argv: readonly [string, ...string[]], options?: CommandOptions) => Promise<CommandResult>;

/** The real one. */
export const runCommand: RunCommand = async (argv, options = {}) => {
  const [program] = argv;
  if (options.distrusted !== true) return execute({ file: program }, argv, options);
  const file = await openTrusted(program);
  try {
    // the descriptor closes itself in the program, which a script would need and an ELF program does not
    const start: Start = { file: `/proc/self/fd/${file.fd}`, argv0: program, cwd: '/', env: {} };
    return await execute(start, argv, options);
  } finally {
    await file.close();
  }
};

function execute(start: Start, argv: Parameters<RunCommand>[0], options: CommandOptions): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const { file, ...how } = start;
    const [program, ...args] = argv;
    const child = spawn(file, args, { ...how, stdio: ['pipe', 'pipe', 'pipe'], ...signalOf(options) });
    const giveUp = (error: AppError) => {
      clearTimeout(timer);
      child.kill('SIGKILL');
      // a child of the program may hold its output open for ever
      child.stdout.destroy();
      child.stderr.destroy();
      reject(error);
    };
    const timer = setTimeout(
      () => giveUp(new AppError('deadline', `${argv.join(' ')} did not end in time`)),
      options.timeoutMs ?? 60_000,
    );
    const mostBytes = options.mostBytes ?? MOST_BYTES;
    const tooMuch = () => giveUp(new AppError('unavailable', `${argv.join(' ')} wrote more than ${mostBytes} bytes`));
    const stdout = collect(child.stdout, mostBytes, tooMuch);
    const stderr = collect(child.stderr, mostBytes, tooMuch);
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
}

/** What a stream brings, as it comes; what is more than the limit is not kept, and said once. */
function collect(stream: Readable, mostBytes: number, onTooMuch: () => void): readonly Buffer[] {
  const chunks: Buffer[] = [];
  let bytes = 0;
  stream.on('data', (chunk: Buffer) => {
    if (bytes > mostBytes) return;
    bytes += chunk.length;
    if (bytes > mostBytes) onTooMuch();
    else chunks.push(chunk);
  });
  return chunks;
}

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
