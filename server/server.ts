/** The server: two listeners and the tasks beside them. */
import type { Listener } from '../common/rpc/listener.ts';
import { openListener } from '../common/rpc/listener.ts';
import { runTasks, type Task } from '../common/run/run-tasks.ts';
import { buildDeps, type Ground, type ServerDeps } from './build-deps.ts';
import { type ServerLimits, serverLimits } from './listener-limits.ts';
import { watchRotation } from './rotation/rotation.ts';
import { registerBootstrap, registerFleet } from './services/register.ts';

/** Settings that nobody's report changes are this late at most. */
const SETTINGS_MS = 60_000;

/** What a server is started with. */
export interface ServerOptions extends Ground {
  /** The server's certificate with its chain, and its key; made or renewed when it is due. */
  certificate: () => Promise<{ certPem: string; keyPem: string }>;
  /** What callers may take. Default: serverLimits. */
  limits?: ServerLimits;
}

/** A server that answers. */
export interface RunningServer {
  bootstrapPort: number;
  fleetPort: number;
  /** Runs the tasks until the signal fires, then ends sessions and calls in order. Does not close the store. */
  run(signal: AbortSignal): Promise<void>;
}

/** How often it is looked whether the server's certificate is due: often enough for the shortest life. */
const MOST_LOOK_MS = 24 * 60 * 60_000;

/**
 * Starts to listen.
 *
 * @throws AppError 'unavailable' when an address cannot be had
 */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { log } = options;
  const { listen } = options.config;
  const deps = await buildDeps(options);
  const tls = await options.certificate();
  const clientRootsPem = options.authorities.rootsPem('fleet');
  let serving = true;
  const register = (add: typeof registerFleet) => (server: Parameters<typeof add>[0]) =>
    add(server, deps, () => serving);
  const limits = options.limits ?? serverLimits(options.config);
  const bootstrap = await openListener({
    ...listen.bootstrap,
    limits: limits.bootstrap,
    tls,
    log,
    register: register(registerBootstrap),
  });
  let fleet: Listener;
  try {
    fleet = await openListener({
      ...listen.fleet,
      limits: limits.fleet,
      tls: { ...tls, clientRootsPem },
      log,
      register: register(registerFleet),
    });
  } catch (error) {
    await bootstrap.stop(0);
    throw error;
  }
  const lookMs = Math.min(MOST_LOOK_MS, options.config.lifetimes.serverMs / 20);
  const reload = async () => {
    const fresh = await options.certificate();
    bootstrap.reload(fresh);
    fleet.reload({ ...fresh, clientRootsPem });
  };
  const expireMs = Math.max(1000, options.config.permits.ttlMs / 8);
  return {
    bootstrapPort: bootstrap.port,
    fleetPort: fleet.port,
    async run(signal) {
      log.info('serving', {
        address: `${listen.bootstrap.host}:${bootstrap.port}, ${listen.fleet.host}:${fleet.port}`,
      });
      try {
        await runTasks(signal, [
          // the one in use is good for a third of its life yet
          every(lookMs, 'cannot renew the certificate of the server', reload, deps),
          // they end by themselves; looking often only makes their events come in time
          every(expireMs, 'cannot end permits', () => deps.permits.expire(), deps),
          // what ends with time alone, as the wait for kubelets
          every(SETTINGS_MS, 'cannot tell agents their settings', () => deps.pushSettings(), deps),
          every(deps.heartbeatMs, 'cannot look for silent nodes', () => deps.presence.look(), deps),
          (stop) => watchRotation(deps.rotation, deps.clock, stop),
        ]);
      } finally {
        serving = false;
        deps.sessions.endAll();
        await Promise.all([bootstrap.stop(), fleet.stop()]);
        log.info('stopped');
      }
    },
  };
}

/** A turn that fails, on a full disk say, is tried again: a daemon that ends takes the permits in its memory along. */
function every(
  ms: number,
  failure: string,
  turn: () => Promise<void>,
  { clock, log }: Pick<ServerDeps, 'clock' | 'log'>,
): Task {
  return async (signal) => {
    for (;;) {
      await clock.sleep(ms, signal);
      try {
        await turn();
      } catch (error) {
        log.error(failure, { error, retryMs: ms });
      }
    }
  };
}
