/** A machine below a temporary root, for tests of init. */
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AppError, type Reason } from '../../common/errors/app-error.ts';
import { type RunCommand, runCommand } from '../../common/run/command.ts';
import { FakeClock } from '../../common/time/fake-clock.ts';
import { fewIterations } from '../../common/x509/x509-for-tests.ts';
import { type Authorities, loadAuthorities } from '../authority/authorities.ts';
import { databaseFile, type ServerLayout, serverLayoutBelow } from '../config/server-layout.ts';
import { openSqliteStore } from '../store/sqlite-store.ts';
import type { Store } from '../store/store.ts';
import { type InitDeps, init } from './init.ts';
import type { InitOptions } from './init-options.ts';
import type { InitResult } from './init-result.ts';

/** A machine on which init runs. */
export interface TestMachine {
  root: string;
  layout: ServerLayout;
  deps: InitDeps;
  clock: FakeClock;
  /** Users by name, as getent(1) prints their ids, "12345:12346". */
  users: Map<string, string>;
  init(options?: Partial<InitOptions>): Promise<InitResult>;
  read(path: string): string;
  /** Every file, folder and link below the root with its mode and the hash of its content; what SQLite keeps beside its file is left out. */
  snapshot(): string[];
  authorities(): Promise<Authorities>;
  /** Opens the store, and closes it after. */
  withStore<T>(use: (store: Store) => Promise<T>): Promise<T>;
  remove(): void;
}

/** openssl makes the CAs to adopt at its own time, while the tests run. */
export const startMs = Date.now() + 3_600_000;

/** A machine cp1 at 10.0.0.1 without the user kube-mtls. */
export function testMachine(): TestMachine {
  const root = mkdtempSync(join(tmpdir(), 'kube-mtls-init-'));
  const layout = serverLayoutBelow(root);
  const clock = new FakeClock(startMs);
  const users = new Map<string, string>();
  const run: RunCommand = async (argv, options) => {
    if (argv[0] !== 'getent') return runCommand(argv, options);
    const ids = users.get(argv[2] ?? '');
    if (ids === undefined) return { code: 2, stdout: '', stderr: '' };
    return { code: 0, stdout: `${argv[2]}:x:${ids}::/nonexistent:/usr/sbin/nologin\n`, stderr: '' };
  };
  const machine = { hostname: 'cp1', addresses: ['10.0.0.1', '10.8.0.1'] };
  const deps = { layout, run, clock, machine, keyIterations: fewIterations };
  const read = (path: string) => readFileSync(path, 'utf8');
  return {
    root,
    layout,
    deps,
    clock,
    users,
    init: (options = {}) =>
      init(
        {
          cluster: 'lab',
          apiEndpoint: '10.0.0.1:6443',
          serviceCidr: '10.96.0.0/12',
          dnsDomain: 'cluster.local',
          adopt: undefined,
          advertise: [],
          ...options,
        },
        deps,
      ),
    read,
    snapshot: () =>
      readdirSync(root, { recursive: true, withFileTypes: true })
        .map((entry) => ({ entry, path: join(entry.parentPath, entry.name) }))
        .filter(({ path }) => !/\.db-(wal|shm)$/.test(path))
        .map(({ entry, path }) => {
          const content = entry.isFile() ? createHash('sha256').update(readFileSync(path)).digest('hex') : '';
          return `${path.slice(root.length)} ${(statSync(path).mode & 0o777).toString(8)} ${content}`;
        })
        .sort(),
    authorities: () => loadAuthorities(layout.stateFolder, read(layout.passphraseFile).trim()),
    async withStore(use) {
      const store = openSqliteStore(databaseFile(layout.stateFolder), clock);
      try {
        return await use(store);
      } finally {
        await store.close();
      }
    },
    remove: () => rmSync(root, { recursive: true }),
  };
}

/** For assert.rejects: an AppError with this reason whose message has these words. */
export function refused(reason: Reason, words: RegExp): (error: unknown) => boolean {
  return (error) => error instanceof AppError && error.reason === reason && words.test(error.message);
}
