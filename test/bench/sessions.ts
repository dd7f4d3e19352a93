/** What a connected agent costs the server: memory, and processor time while nothing happens but heartbeats. */

import { StatusBoard } from '../../agent/report/status-board.ts';
import { Session } from '../../agent/session/session.ts';
import { AppError } from '../../common/errors/app-error.ts';
import { silentLog } from '../../common/log/log.ts';
import { createClient } from '../../common/rpc/client.ts';
import type { Connection } from '../../common/rpc/connection.ts';
import { systemClock } from '../../common/time/clock.ts';
import { AgentService } from '../../proto/gen/kubemtls/v1/agent_pb.js';
import { CertificateService } from '../../proto/gen/kubemtls/v1/certificate_pb.js';
import { FleetService } from '../../proto/gen/kubemtls/v1/fleet_pb.js';
import { HEARTBEAT_MS } from '../../server/build-deps.ts';
import { type Bench, type BenchResult, digits } from './figure.ts';
import { inFolder, processorMs, residentBytes } from './machine.ts';
import { type OurServer, startOurServer } from './our-server.ts';

const AGENTS = 500;
const MIB = 1024 * 1024;
/** Limits that we set ourselves: a fleet of 1000 in 1 GiB, and in a fifth of a core. */
const LIMIT_BYTES = MIB;
const LIMIT_CORES = AGENTS * 0.0002;
const SETTLE_MS = 2000;
/** A session is written to the store once a minute: a shorter time would not hold what it costs. */
const IDLE_MS = 60_000;
const LOOK_MS = 10_000;
/** Connections opened at once wait for each other's handshakes. */
const OPEN_AT_ONCE = 25;

/** The bench. */
export const sessions: Bench = {
  name: 'sessions',
  about: `memory and processor time of the server with ${AGENTS} agents connected`,
  packages: [],
  run: (say, signal) => inFolder((folder) => measure(folder, say, signal)),
};

async function measure(folder: string, say: (text: string) => void, signal: AbortSignal): Promise<BenchResult> {
  say(`starting kube-mtls-server with ${AGENTS} nodes`);
  const server = await startOurServer(folder, { count: AGENTS, role: 'worker' }, signal);
  const connections: Connection[] = [];
  const stop = new AbortController();
  const running: Promise<void>[] = [];
  try {
    await systemClock.sleep(SETTLE_MS, signal);
    const emptyBytes = residentBytes(server.pid);

    say(`opening ${AGENTS} sessions, each over a connection of its own`);
    const ends = AbortSignal.any([signal, stop.signal]);
    for (const [index, identity] of server.identities.entries()) {
      const connection = server.connect(identity);
      connections.push(connection);
      running.push(agentSession(connection, `bench-${index}`, ends));
      if (index % OPEN_AT_ONCE === OPEN_AT_ONCE - 1) await systemClock.sleep(100, signal);
    }
    await allOnline(server, signal);
    await systemClock.sleep(SETTLE_MS, signal);
    const idle = await watchIdle(server.pid, say, signal);
    await allOnline(server, signal);
    return resultOf(emptyBytes, idle);
  } finally {
    stop.abort();
    await Promise.allSettled(running); // the abort is how they end
    for (const connection of connections) connection.close();
    await server.stop();
  }
}

/** The session of a real agent, with a kubelet that it found. */
function agentSession(connection: Connection, nodeName: string, signal: AbortSignal): Promise<void> {
  const calls = {
    agent: createClient(AgentService, connection),
    certificates: createClient(CertificateService, connection),
  };
  const board = new StatusBoard(systemClock.nowMs);
  board.set('kubelet', { unit: 'kubelet.service', version: 'v1.20.2', endpoints: ['10.9.0.1:10250'] });
  const session = new Session({
    link: { calls: async () => calls, renew() {}, close() {} },
    clock: systemClock,
    log: silentLog,
    board,
    nodeName,
    mode: 'observe',
    heldPermit: () => '',
    inventory: () => undefined,
    onSettings() {},
    answer: async () => {
      throw new AppError('internal', 'nobody asks in this bench');
    },
  });
  return session.run(signal);
}

/** Waits until the server itself says that all agents are there; 30 s at most. */
async function allOnline(server: OurServer, signal: AbortSignal): Promise<void> {
  const connection = server.connect(server.admin);
  try {
    const { getFleetStatus } = createClient(FleetService, connection);
    for (const endMs = Date.now() + 30_000; ; ) {
      const online = (await getFleetStatus({}, { signal })).nodes.filter((node) => node.online).length;
      if (online === AGENTS) return;
      if (Date.now() > endMs) throw new AppError('unavailable', `only ${online} of ${AGENTS} agents are connected`);
      await systemClock.sleep(250, signal);
    }
  } finally {
    connection.close();
  }
}

/** The most memory that was seen, and processor time in cores. */
async function watchIdle(pid: number, say: (text: string) => void, signal: AbortSignal) {
  const [startMs, beforeMs] = [performance.now(), processorMs(pid)];
  let mostBytes = 0;
  for (let waitedMs = 0; waitedMs < IDLE_MS; waitedMs += LOOK_MS) {
    mostBytes = Math.max(mostBytes, residentBytes(pid));
    say(`idle with heartbeats, ${(IDLE_MS - waitedMs) / 1000} s to go, ${digits(mostBytes / MIB)} MiB resident`);
    await systemClock.sleep(LOOK_MS, signal);
  }
  mostBytes = Math.max(mostBytes, residentBytes(pid));
  return { mostBytes, cores: (processorMs(pid) - beforeMs) / (performance.now() - startMs) };
}

function resultOf(emptyBytes: number, { mostBytes, cores }: { mostBytes: number; cores: number }): BenchResult {
  const bytes = (mostBytes - emptyBytes) / AGENTS;
  return {
    figures: [
      {
        what: 'memory a connected agent',
        ours: `${digits(bytes / MIB)} MiB`,
        against: `limit ${digits(LIMIT_BYTES / MIB)} MiB`,
        ratio: bytes / LIMIT_BYTES,
        better: 'less',
      },
      {
        what: `processor of ${AGENTS} idle agents`,
        ours: `${digits(cores * 100)} % of a core`,
        against: `limit ${digits(LIMIT_CORES * 100)} % of a core`,
        ratio: cores / LIMIT_CORES,
        better: 'less',
      },
    ],
    notes: [
      `memory: resident set of the server, ${digits(emptyBytes / MIB)} MiB just started with ${AGENTS} nodes in its store, at most ${digits(mostBytes / MIB)} MiB with their sessions; what garbage collection had not taken yet is in it.`,
      `idle: a heartbeat an agent every ${HEARTBEAT_MS / 1000} s, and its record in the store once a minute; ${IDLE_MS / 1000} s watched. The agents are sessions of agent/session in one process, over ${AGENTS} mutual TLS connections.`,
    ],
  };
}
