/** From a configuration to a server that listens: authorities, store and certificate opened in order. */
import type { Log } from '../common/log/log.ts';
import type { Clock } from '../common/time/clock.ts';
import { type Authorities, assertMade, loadAuthorities } from './authority/authorities.ts';
import type { ServerConfig } from './config/server-config.ts';
import { databaseFile } from './config/server-layout.ts';
import { readServerCertificate, renewServerCertificate } from './init/renew-server-certificate.ts';
import type { ServerLimits } from './listener-limits.ts';
import { type RunningServer, startServer } from './server.ts';
import { openSqliteStore } from './store/sqlite-store.ts';
import type { Store } from './store/store.ts';

/** What the process brings. */
export interface OpenServerOptions {
  config: ServerConfig;
  /** Of the CA keys. */
  passphrase: string;
  /** See KeyLock. */
  keyIterations?: number;
  /** Of this machine, for the server's certificate. */
  hostname: string;
  clock: Clock;
  log: Log;
  /** What callers may take. Default: serverLimits. */
  limits?: ServerLimits;
}

/** A server that listens, and what it stands on. */
export interface OpenServer extends RunningServer {
  store: Store;
  authorities: Authorities;
}

/**
 * Opens a server. Its `run` closes the store at its end.
 *
 * @throws AppError 'not-found' before init, 'unavailable' when keys, store, files or addresses cannot be had
 */
export async function openServer(options: OpenServerOptions): Promise<OpenServer> {
  const { config, clock, hostname } = options;
  await assertMade(config.stateFolder); // an empty store would look like a fleet without nodes
  const store = openSqliteStore(databaseFile(config.stateFolder), clock);
  try {
    const { passphrase, keyIterations } = options;
    const authorities = await loadAuthorities(config.stateFolder, passphrase, await store.getRotation(), keyIterations);
    await authorities.forgetRetiredKeys(); // where a crash came between the end of a rotation and this
    const certificate = async () => {
      await renewServerCertificate({ store, authorities, config, clock, hostname });
      return readServerCertificate(config.stateFolder);
    };
    const server = await startServer({ ...options, authorities, store, certificate });
    const run = (signal: AbortSignal) => server.run(signal).finally(() => store.close());
    return { ...server, run, store, authorities };
  } catch (error) {
    await store.close();
    throw error;
  }
}
