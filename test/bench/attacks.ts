/** Strangers at the bootstrap listener, who come again when they are sent away. */
import type { ClientHttp2Session } from 'node:http2';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { systemClock } from '../../common/time/clock.ts';
import { beginCall, endOf, framed, strangerSession } from '../integration/stranger.ts';

/** Method that joining nodes call. */
export const ENROL = '/kubemtls.v1.EnrollmentService/EnrollNode';

const STREAMS = 100;
const MISSING_BYTES = 1000;
const AGAIN_MS = 1000;
const DIALS_AT_ONCE = 16;
const REDIAL_MS = 100;
const PROGRESS_MS = 100;

/** What strangers do. */
export type Attack =
  /** So many connections, each from an address of its own, full of messages whose end never comes; sizes in turn, in bytes. */
  | { kind: 'half-messages'; port: number; connections: number; sizes: number[] }
  /** So many connections from 127.0.0.1 on which nothing is said. */
  | { kind: 'idle'; port: number; connections: number };

/** How far they are. */
export interface Progress {
  /** Their connections that are open now. */
  open: number;
  /** How often they dialled. */
  dialled: number;
}

/** An attack that goes on. */
export interface RunningAttack {
  progress: Progress;
  stop(): Promise<void>;
}

/** Begins one on a thread of its own, so that honest callers beside it wait for the server alone. */
export function beginAttack(attack: Attack): RunningAttack {
  const worker = new Worker(new URL(import.meta.url), { workerData: attack });
  const running = {
    progress: { open: 0, dialled: 0 },
    stop: async () => void (await worker.terminate()), // its sockets end with it
  };
  worker.on('message', (progress: Progress) => {
    running.progress = progress;
  });
  return running;
}

/** The strangers of one attack. */
class Strangers {
  readonly #port: number;
  readonly open = new Set<ClientHttp2Session>();
  dialling = 0;
  dialled = 0;

  constructor(port: number) {
    this.#port = port;
  }

  async dial(from: string): Promise<ClientHttp2Session> {
    this.dialling++;
    this.dialled++;
    try {
      const session = await strangerSession({ port: this.#port, from });
      this.open.add(session);
      session.once('close', () => this.open.delete(session));
      return session;
    } finally {
      this.dialling--;
    }
  }
}

function attackNow(attack: Attack): void {
  const strangers = new Strangers(attack.port);
  setInterval(() => parentPort?.postMessage({ open: strangers.open.size, dialled: strangers.dialled }), PROGRESS_MS);
  if (attack.kind === 'idle') {
    idleConnections(strangers, '127.0.0.1', attack.connections);
    return;
  }
  for (let index = 0; index < attack.connections; index++) {
    const size = attack.sizes[index % attack.sizes.length] ?? 0;
    void halfMessages(strangers, `127.8.0.${index + 1}`, size);
  }
}

/** A connection full of messages of so many bytes whose end never comes. */
async function halfMessages(strangers: Strangers, from: string, bytes: number): Promise<never> {
  const half = framed(Buffer.alloc(bytes - 10 - MISSING_BYTES), bytes - 10);
  return again(AGAIN_MS, async () => {
    const session = await strangers.dial(from);
    const fill = async () => {
      while (!session.closed && !session.destroyed) {
        const stream = beginCall(session, ENROL);
        stream.write(half);
        await endOf(stream);
        await systemClock.sleep(AGAIN_MS);
      }
    };
    await Promise.all(Array.from({ length: STREAMS }, fill));
  });
}

/** So many connections on which nothing is said. */
function idleConnections(strangers: Strangers, from: string, count: number): void {
  const dial = async () => {
    while (strangers.open.size + strangers.dialling < count) await strangers.dial(from);
  };
  for (let index = 0; index < DIALS_AT_ONCE; index++) void again(REDIAL_MS, dial);
}

/** Does it again and again; a failure is a try like any other. */
async function again(afterMs: number, act: () => Promise<void>): Promise<never> {
  for (;;) {
    await act().catch(() => {});
    await systemClock.sleep(afterMs);
  }
}

if (!isMainThread) attackNow(workerData as Attack); // beginAttack's own
