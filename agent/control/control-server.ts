/** The daemon's ear for the commands status, apply and verify: HTTP with JSON over a socket that only root can open. */

import { chmod, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { dirname } from 'node:path';
import { AppError } from '../../common/errors/app-error.ts';
import { makeFolder } from '../../common/files/durable.ts';
import type { Log } from '../../common/log/log.ts';

/** What can be asked: method name to what it does. */
export type ControlHandlers = Record<string, (signal: AbortSignal) => Promise<unknown>>;

/** Serves until the signal fires. POST /NAME answers 200 with JSON, or 4xx/5xx with {reason, message}. */
export async function serveControl(
  deps: { socketPath: string; handlers: ControlHandlers; log: Log },
  signal: AbortSignal,
): Promise<void> {
  const { socketPath, handlers, log } = deps;
  await makeFolder(dirname(socketPath), { mode: 0o700 });
  await rm(socketPath, { force: true }); // of a daemon that was killed; systemd runs only one
  const server = createServer((request, response) => void serve(handlers, log, request, response));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(socketPath, resolve);
  });
  await chmod(socketPath, 0o600);
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await rm(socketPath, { force: true });
}

async function serve(
  handlers: ControlHandlers,
  log: Log,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  try {
    const name = request.url?.slice(1) ?? '';
    const handler = request.method === 'POST' && Object.hasOwn(handlers, name) ? handlers[name] : undefined;
    if (handler === undefined)
      throw new AppError('not-found', `the daemon knows no "${name}"; are both of the same version?`);
    answer(response, 200, await handler(gone.signal));
  } catch (error) {
    const failure = AppError.from(error);
    log.debug('control request failed', { method: request.url ?? '', error: failure });
    answer(response, failure.reason === 'not-found' ? 404 : 500, { reason: failure.reason, message: failure.message });
  }
}

function answer(response: ServerResponse, status: number, body: unknown): void {
  const text = JSON.stringify(body ?? null); // before the head is written: it may throw
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(text);
}
