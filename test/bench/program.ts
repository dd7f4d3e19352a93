/** A daemon in a process of its own, for as long as a bench needs it. */
import { spawn } from 'node:child_process';
import { connect, createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { AppError } from '../../common/errors/app-error.ts';

/** A daemon that takes connections. */
export interface Program {
  pid: number;
  /** Ends it: SIGTERM, and SIGKILL for one that does not heed it within 15 s. */
  stop(): Promise<void>;
}

const START_LIMIT_MS = 20_000;
const STOP_LIMIT_MS = 15_000;
const KEPT_CHARACTERS = 2000;

/** Starts a daemon and waits until it takes connections on the port. Rejects 'unavailable' with what it wrote when it does not. */
export async function startProgram(
  argv: readonly [string, ...string[]],
  port: number,
  signal: AbortSignal,
): Promise<Program> {
  const [program, ...args] = argv;
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said = `${said}${chunk}`.slice(-KEPT_CHARACTERS);
  });
  let over = false;
  const ended = new Promise<void>((resolve) => {
    child.once('error', (error) => {
      said = error.message;
      resolve();
    });
    child.once('close', () => resolve());
  }).then(() => {
    over = true;
  });
  const stop = async () => {
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS);
    await ended;
    clearTimeout(timer);
  };
  try {
    for (const endMs = Date.now() + START_LIMIT_MS; !(await takesConnections(port)); ) {
      if (over || Date.now() > endMs)
        throw new AppError('unavailable', `${argv.join(' ')} does not serve: ${said.trim()}`);
      await delay(50, undefined, { signal });
    }
  } catch (error) {
    await stop();
    throw error;
  }
  if (child.pid === undefined) throw new TypeError('a process that takes connections has an identifier');
  return { pid: child.pid, stop };
}

/** A port of 127.0.0.1 that nobody listens on now. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

function takesConnections(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const tell = (yes: boolean) => () => {
      socket.destroy();
      resolve(yes);
    };
    socket.once('connect', tell(true)).once('error', tell(false));
  });
}
