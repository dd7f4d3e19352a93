/** What strangers can do to the server at its bootstrap listener: memory that they take, and honest joins that fail beside them. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { create, toBinary } from '@bufbuild/protobuf';
import { AppError, messageOf } from '../../common/errors/app-error.ts';
import { createClient } from '../../common/rpc/client.ts';
import { systemClock } from '../../common/time/clock.ts';
import { generateKey } from '../../common/x509/keys.ts';
import { EnrollNodeRequestSchema } from '../../proto/gen/kubemtls/v1/enrollment_pb.js';
import { TokenService } from '../../proto/gen/kubemtls/v1/token_pb.js';
import { NodeRole } from '../../proto/gen/kubemtls/v1/types_pb.js';
import { csrOf } from '../integration/server-fixture.ts';
import { callWith, strangerSession } from '../integration/stranger.ts';
import { type Attack, beginAttack, ENROL } from './attacks.ts';
import { type Bench, type BenchResult, digits, type Figure } from './figure.ts';
import { inFolder, residentBytes } from './machine.ts';
import { type OurServer, startOurServer } from './our-server.ts';

const UNIT = join(import.meta.dirname, '../../packaging/server/kube-mtls-server.service');
const MIB = 1024 * 1024;
/** Connections with half messages, each from an address of its own: half of them above the limit, half below it. */
const HALVES = 100;
const HALVES_MS = 60_000;
/** Idle connections from one address. */
const IDLE = 4096;
const IDLE_MS = 20_000;
/** A busy machine does not get further. */
const MOST_DIAL_MS = 90_000;
/** The greatest message that strangers may send: half of them keep below it. */
const STRANGERS_MOST_BYTES = 32 * 1024;
const LOOK_MS = 250;
const LOOKS_A_JOIN = 4;
const LOOKS_A_LINE = 40;
const SETTLE_MS = 5000;
const JOIN_LIMIT_MS = 15_000;
/** A server that has taken so much is bounded by nothing, and this machine is not ours alone. */
const TOO_MUCH_BYTES = 4096 * MIB;

/** The bench. */
export const strangers: Bench = {
  name: 'strangers',
  about: `memory of the server under ${HALVES} connections with half messages, then ${IDLE} idle ones; joins beside them`,
  packages: [],
  run: (say, signal) => inFolder((folder) => measure(folder, say, signal)),
};

/** What one attack did. */
interface Harm {
  beforeBytes: number;
  mostBytes: number;
  afterBytes: number;
  joins: number;
  failures: string[];
  /** Connections of the strangers that were open at once, at most. */
  mostOpen: number;
}

async function measure(folder: string, say: (text: string) => void, signal: AbortSignal): Promise<BenchResult> {
  say('starting kube-mtls-server');
  const server = await startOurServer(folder, { count: 1, role: 'worker' }, signal);
  try {
    const joins = joinsOf(server);
    await joins('127.9.0.1'); // what is loaded once is no harm
    const scene = { server, joins, say, signal };
    const { bootstrapPort: port } = server;
    const halves = await watch(
      scene,
      { kind: 'half-messages', port, connections: HALVES, sizes: [MIB, STRANGERS_MOST_BYTES] },
      { forMs: HALVES_MS, from: '127.9.0.2' },
    );
    const idle = await watch(scene, { kind: 'idle', port, connections: IDLE }, { forMs: IDLE_MS, from: '127.0.0.2' });
    const limitBytes = await memoryLimit();
    return {
      figures: [
        ...figuresOf(`${HALVES} connections of half messages`, halves, limitBytes),
        ...figuresOf(`${IDLE} idle connections of one address`, idle, limitBytes),
      ],
      notes: [noteOf('half messages', halves), noteOf('idle connections', idle)],
    };
  } finally {
    await server.stop();
  }
}

/** What attacks have in common. */
interface Scene {
  server: OurServer;
  joins: Joins;
  say: (text: string) => void;
  signal: AbortSignal;
}

/** Lets strangers at the server for a time after so many dials of theirs, while a node joins every second from an address. */
async function watch(
  { server, joins, say, signal }: Scene,
  attack: Attack,
  { forMs, from }: { forMs: number; from: string },
): Promise<Harm> {
  const beforeBytes = residentBytes(server.pid);
  const harm: Harm = { beforeBytes, mostBytes: beforeBytes, afterBytes: 0, joins: 0, failures: [], mostOpen: 0 };
  const strangers = beginAttack(attack);
  const joining: Promise<void>[] = [];
  try {
    const startMs = performance.now();
    let placedMs = startMs;
    for (let look = 0; performance.now() - placedMs < forMs; look++) {
      if (strangers.progress.dialled < attack.connections && performance.now() - startMs < MOST_DIAL_MS)
        placedMs = performance.now();
      const bytes = residentBytes(server.pid);
      harm.mostBytes = Math.max(harm.mostBytes, bytes);
      const { open } = strangers.progress;
      harm.mostOpen = Math.max(harm.mostOpen, open);
      if (look % LOOKS_A_LINE === 0) say(`${open} connections open, ${digits(bytes / MIB)} MiB resident`);
      if (bytes > TOO_MUCH_BYTES) {
        say(`${digits(bytes / MIB)} MiB after ${digits((performance.now() - startMs) / 1000)} s: ended`);
        break;
      }
      if (look % LOOKS_A_JOIN === 0) {
        harm.joins++;
        joining.push(joins(from).catch((error: unknown) => void harm.failures.push(messageOf(error))));
      }
      await systemClock.sleep(LOOK_MS, signal);
    }
    await Promise.all(joining); // those under way meet the attack too
  } finally {
    await strangers.stop();
    await Promise.allSettled(joining);
  }
  await systemClock.sleep(SETTLE_MS, signal);
  return { ...harm, afterBytes: residentBytes(server.pid) };
}

/** Lets a node join from an address, without a second try; rejects when it cannot. */
type Joins = (from: string) => Promise<void>;

function joinsOf(server: OurServer): Joins {
  let made = 0;
  return async (from) => {
    const number = made++;
    const nodeName = `joined-${number}`;
    const connection = server.connect(server.admin);
    try {
      const addresses = [`10.8.${number >> 8}.${number & 255}`];
      const { token } = await createClient(TokenService, connection).createToken({
        role: NodeRole.WORKER,
        nodeNames: [nodeName],
        addresses,
      });
      const message = create(EnrollNodeRequestSchema, { nodeName, csr: csrOf(await generateKey('ecdsa-p256')) });
      const session = await strangerSession({ port: server.bootstrapPort, from });
      const late = setTimeout(() => session.destroy(), JOIN_LIMIT_MS);
      const headers = { authorization: `Bearer ${token}` };
      const { code, text } = await callWith(session, ENROL, toBinary(EnrollNodeRequestSchema, message), headers);
      clearTimeout(late);
      session.destroy();
      if (code !== 0) throw new AppError('unavailable', `status ${code ?? 'missing'}: ${text}`);
    } finally {
      connection.close();
    }
  };
}

/** MemoryMax= of the server's unit. */
async function memoryLimit(): Promise<number> {
  const mebibytes = /^MemoryMax=(\d+)M$/m.exec(await readFile(UNIT, 'utf8'))?.[1];
  if (mebibytes === undefined) throw new AppError('not-found', `there is no MemoryMax= in ${UNIT}`);
  return Number(mebibytes) * MIB;
}

function figuresOf(what: string, harm: Harm, limitBytes: number): Figure[] {
  return [
    {
      what: `memory under ${what}`,
      ours: `${digits(harm.mostBytes / MIB)} MiB`,
      against: `MemoryMax= ${digits(limitBytes / MIB)} MiB`,
      ratio: harm.mostBytes / limitBytes,
      better: 'less',
    },
    {
      what: 'joins beside them that failed',
      ours: `${harm.failures.length}`,
      against: `${harm.joins} that were tried`,
      ratio: harm.failures.length / harm.joins,
      better: 'less',
    },
  ];
}

function noteOf(what: string, { beforeBytes, mostBytes, afterBytes, mostOpen, failures }: Harm): string {
  const [before, most, after] = [beforeBytes, mostBytes, afterBytes].map((bytes) => digits(bytes / MIB));
  const first = failures[0] === undefined ? '' : ` The first join that failed: ${failures[0]}.`;
  return `${what}: resident ${before} MiB before, ${most} MiB at most, ${after} MiB ${SETTLE_MS / 1000} s after; at most ${mostOpen} connections of theirs were open at once.${first}`;
}
