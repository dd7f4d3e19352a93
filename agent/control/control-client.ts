/** Asks the running daemon. */
import { request } from 'node:http';
import { z } from 'zod';
import { AppError } from '../../common/errors/app-error.ts';

const refusal = z.object({ reason: z.string(), message: z.string() });

/**
 * Asks for one thing and waits for the answer, however long it takes.
 *
 * @throws AppError unavailable when no daemon listens, else with the daemon's own words
 */
export function askDaemon(socketPath: string, name: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath, method: 'POST', path: `/${name}` }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', (cause) => {
        reject(new AppError('unavailable', 'the daemon was stopped before it had answered; ask again', { cause }));
      });
      response.on('end', () => {
        const body = parseBody(Buffer.concat(chunks).toString());
        if (response.statusCode === 200 && body !== undefined) return resolve(body);
        const said = refusal.safeParse(body);
        reject(new AppError('unavailable', said.success ? said.data.message : 'the daemon refused without a word'));
      });
    });
    call.on('error', (cause) => {
      const advice = 'systemctl status kube-mtls-agent';
      reject(new AppError('unavailable', `the daemon does not answer on ${socketPath}; see "${advice}"`, { cause }));
    });
    call.end();
  });
}

function parseBody(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // cut off, or no daemon of ours
  }
}
