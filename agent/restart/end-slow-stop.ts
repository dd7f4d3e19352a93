/**
 * Ends an API server that has closed its port and lives on for its watches, up to a minute: systemd and kubelet start the new one only when
 * it is gone. While its port is open nothing is done, since --shutdown-delay-duration lets it serve on purpose; when it has closed it
 * and calls-under-way.ts tells of no call, it is told a second time. SIGTERM ends it at once then (SetupSignalContext in
 * k8s.io/apiserver/pkg/server/signal.go), and where a vendor's build ignores that, SIGKILL does. Limits of the unit and of the pod
 * stay in force: a shorter TimeoutStopSec= or grace period comes first.
 */
import { AppError, messageOf } from '../../common/errors/app-error.ts';
import type { Component } from '../../common/names/names.ts';
import { showConnections } from '../process/connections.ts';
import { argumentsOf, type ProcessTimes, processTimes } from '../process/process-times.ts';
import { heldSockets, listeningSockets } from '../process/sockets.ts';
import type { TransactionDeps } from '../stage/transaction.ts';
import { callsUnderWay } from './calls-under-way.ts';

/** What the room needs. */
export type EndingDeps = Pick<TransactionDeps, 'layout' | 'run' | 'clock' | 'log'>;

/** A process as it was while it served. */
export interface ServingProcess {
  pid: number;
  /** With the pid its identity: no other process has both. */
  startTicks: number;
  /** The sockets on which it listened, with their ports. */
  listeners: ReadonlyMap<string, number>;
  /** Ports of the etcd that its arguments name. */
  etcdPorts: ReadonlySet<number>;
}

const LOOK_EVERY_MS = 100;
/** An API server that obeys the second SIGTERM is gone within some ten milliseconds. */
const KILL_AFTER_MS = 2000;

/**
 * Looks at a process before it is stopped.
 *
 * @returns undefined when it listens nowhere, or may not be looked at: whoever does not serve is not ended either, whatever its arguments
 */
export async function seeServing(
  { layout }: Pick<EndingDeps, 'layout'>,
  pid: number,
): Promise<ServingProcess | undefined> {
  const startTicks = (await processTimes(layout, pid))?.startTicks;
  if (startTicks === undefined) return undefined;
  const held = await heldSockets(layout, pid);
  const listeners = new Map([...(await listeningSockets(layout, pid))].filter(([inode]) => held.has(inode)));
  if (listeners.size === 0) return undefined;
  return { pid, startTicks, listeners, etcdPorts: etcdPortsOf(await argumentsOf(layout, pid)) };
}

/**
 * Does the work that stops these processes, and meanwhile ends each that is slow to stop. What goes wrong with that is logged: the work
 * then takes as long as they do.
 *
 * @param component - for the log
 * @param mayEnd asked right before each signal: whether whatever runs the process is stopping just this one
 * @throws whatever the work throws
 */
export async function endingSlowStop<T>(
  deps: EndingDeps,
  component: Component,
  processes: readonly ServingProcess[],
  mayEnd: (pid: number) => Promise<boolean>,
  work: () => Promise<T>,
): Promise<T> {
  const done = new AbortController();
  const endings = processes.map(async (process) => {
    try {
      await endOnceQuiet(deps, component, process, mayEnd, done.signal);
    } catch (error) {
      if (done.signal.aborted) return;
      deps.log.warn('cannot end what is slow to stop', { component, detail: messageOf(error) });
    }
  });
  try {
    return await work();
  } finally {
    done.abort();
    await Promise.all(endings);
  }
}

/** Of --etcd-servers and --etcd-servers-overrides, and the default; a URL without a port has none of use here. */
function etcdPortsOf(argv: readonly string[]): ReadonlySet<number> {
  const values = argv.flatMap((word, at) => {
    const [, inline] = /^--etcd-servers(?:-overrides)?(?:=(.*))?$/.exec(word) ?? [];
    return word.startsWith('--etcd-servers') ? [inline ?? argv[at + 1] ?? ''] : [];
  });
  const ports = values.flatMap((value) =>
    [...value.matchAll(/:([0-9]+)(?=[,;/"\s]|$)/g)].map(([, port]) => Number(port)),
  );
  return new Set([2379, ...ports]);
}

async function endOnceQuiet(
  deps: EndingDeps,
  component: Component,
  process: ServingProcess,
  mayEnd: (pid: number) => Promise<boolean>,
  signal: AbortSignal,
): Promise<void> {
  const { clock } = deps;
  const closedAtMs = await awaitClosed(deps, process, signal);
  const ports = new Set(process.listeners.values());
  let at = clock.monotonicMs();
  let before: ProcessTimes | undefined;
  let waitedFor = '';
  for (;;) {
    const times = await timesOf(deps, process);
    if (times === undefined || closedAtMs === undefined) return;
    const held = await heldSockets(deps.layout, process.pid);
    const all = await showConnections(deps.run, signal);
    if (all === undefined) throw new AppError('unavailable', 'ss of iproute2 does not tell when its connections moved');
    const nowMs = clock.monotonicMs();
    const load = before === undefined ? 1 : (times.usedMs - before.usedMs) / Math.max(1, nowMs - at);
    const connections = all.filter(({ inode }) => held.has(inode));
    const { etcdPorts } = process;
    const why = callsUnderWay({ connections, ports, etcdPorts, closedForMs: nowMs - closedAtMs, load });
    if (why === undefined) break;
    waitedFor = why;
    [before, at] = [times, nowMs];
    await clock.sleep(LOOK_EVERY_MS, signal);
  }
  const told = `it closed its port ${clock.monotonicMs() - closedAtMs} ms ago and no call but watches is under way; until then ${waitedFor}`;
  if (!(await send(deps, component, process, mayEnd, 'TERM', told))) return;
  const untilMs = clock.monotonicMs() + KILL_AFTER_MS;
  while (clock.monotonicMs() < untilMs) {
    await clock.sleep(LOOK_EVERY_MS, signal);
    if ((await timesOf(deps, process)) === undefined) return;
  }
  await send(deps, component, process, mayEnd, 'KILL', `it did not end within ${KILL_AFTER_MS} ms of a second SIGTERM`);
}

/** When its port was first seen closed; undefined when it ended before. */
async function awaitClosed(
  deps: EndingDeps,
  process: ServingProcess,
  signal: AbortSignal,
): Promise<number | undefined> {
  for (;;) {
    if ((await timesOf(deps, process)) === undefined) return undefined;
    const listening = await listeningSockets(deps.layout, process.pid);
    if (![...process.listeners.keys()].some((inode) => listening.has(inode))) return deps.clock.monotonicMs();
    await deps.clock.sleep(LOOK_EVERY_MS, signal);
  }
}

/** Undefined once the process is gone, also when another has its number. */
async function timesOf({ layout }: EndingDeps, { pid, startTicks }: ServingProcess): Promise<ProcessTimes | undefined> {
  const times = await processTimes(layout, pid);
  return times?.startTicks === startTicks ? times : undefined;
}

/** False when the process is no longer to be ended, or gone. */
async function send(
  deps: EndingDeps,
  component: Component,
  process: ServingProcess,
  mayEnd: (pid: number) => Promise<boolean>,
  name: 'TERM' | 'KILL',
  detail: string,
): Promise<boolean> {
  if (!(await mayEnd(process.pid)) || (await timesOf(deps, process)) === undefined) return false;
  deps.log.info('ending what is slow to stop', { component, detail: `SIG${name}: ${detail}` });
  // the shell's own kill: not every node has the program
  await deps.run(['sh', '-c', `kill -${name} "$0"`, String(process.pid)]);
  return true;
}
