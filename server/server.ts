/** The server: two listeners and the tasks beside them. */
import type { Listener } from '../common/rpc/listener.ts';
import { openListener } from '../common/rpc/listener.ts';
import { runTasks, type Task } from '../common/run/run-tasks.ts';
import { buildDeps, type Ground, type ServerDeps } from './build-deps.ts';
import { watchRotation } from './rotation/rotation.ts';
import { registerBootstrap, registerFleet } from './services/register.ts';
import { watchSilence } from './session/watch-silence.ts';

/** What a server is started with. */
export interface ServerOptions extends Ground {
  /** The server's certificate with its chain, and its key; made or renewed when it is due. */
  certificate: () => Promise<{ certPem: string; keyPem: string }>;
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
  const bootstrap = await openListener({ ...listen.bootstrap, tls, log, register: register(registerBootstrap) });
  let fleet: Listener;
  try {
    fleet = await openListener({
      ...listen.fleet,
      tls: { ...tls, clientRootsPem },
      log,
      register: register(registerFleet),
    });
  } catch (error) {
    await bootstrap.stop(0);
    throw error;
  }
  const lookMs = Math.min(MOST_LOOK_MS, options.config.lifetimes.serverMs / 20);
  const reload: Task = async (signal) => {
    for (;;) {
      await deps.clock.sleep(lookMs, signal);
      try {
        const fresh = await options.certificate();
        bootstrap.reload(fresh);
        fleet.reload({ ...fresh, clientRootsPem });
      } catch (error) {
        // The one in use is good for a third of its life yet; a server that stops helps nobody.
        log.error('cannot renew the certificate of the server', { error, retryMs: lookMs });
      }
    }
  };
  return {
    bootstrapPort: bootstrap.port,
    fleetPort: fleet.port,
    async run(signal) {
      log.info('serving', {
        address: `${listen.bootstrap.host}:${bootstrap.port}, ${listen.fleet.host}:${fleet.port}`,
      });
      try {
        await runTasks(signal, [
          reload,
          expirePermits(deps),
          (stop) => watchSilence(deps.presence, deps, stop),
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

/** Permits end by themselves; looking often only makes their events come in time. */
function expirePermits(deps: ServerDeps): Task {
  return async (signal) => {
    for (;;) {
      await deps.clock.sleep(Math.max(1000, deps.config.permits.ttlMs / 8), signal);
      await deps.permits.expire();
    }
  };
}
