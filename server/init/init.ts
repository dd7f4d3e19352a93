/** `kube-mtls-server init`: from nothing, or from an existing cluster's CAs, to a server that can be started. */
import { dirname, join, resolve } from 'node:path';
import { AppError } from '../../common/errors/app-error.ts';
import { makeFolder, writeFileDurably } from '../../common/files/durable.ts';
import type { RunCommand } from '../../common/run/command.ts';
import type { Clock } from '../../common/time/clock.ts';
import { type Authorities, loadAuthorities } from '../authority/authorities.ts';
import { readIfThere } from '../authority/authority-files.ts';
import { makeAuthorities } from '../authority/make-authorities.ts';
import { parseServerConfig, type ServerConfig } from '../config/server-config.ts';
import { authorityFolder, databaseFile, type ServerLayout } from '../config/server-layout.ts';
import { openSqliteStore } from '../store/sqlite-store.ts';
import type { Store } from '../store/store.ts';
import { adminProblem, assertOwnAdmin, makeAdminCertificate } from './admin-certificate.ts';
import { type AdoptedCluster, readAdoptedCluster, readTrustedCluster } from './adopted-cluster.ts';
import { ensurePassphrase } from './ensure-passphrase.ts';
import { initAgain } from './init-again.ts';
import { type InitOptions, wantedConfig } from './init-options.ts';
import { type InitResult, resultOf } from './init-result.ts';
import { chooseAdvertise, type Machine } from './machine.ts';
import { ownState, serverUser } from './own-state.ts';
import { renewServerCertificate } from './renew-server-certificate.ts';
import { trustOldRoots } from './trust-old-roots.ts';

/** What init works with. */
export interface InitDeps {
  layout: ServerLayout;
  run: RunCommand;
  clock: Clock;
  machine: Machine;
  /** See KeyLock. */
  keyIterations?: number | undefined;
}

const nothingAdopted: AdoptedCluster = { extraNames: [], kubeletClientOrganization: undefined, notes: [] };

/**
 * Initialises the server; has to run as root. The configuration file is written last: until it is there a second run
 * goes on where the first one stopped, and from then on nothing is made anew.
 *
 * @throws AppError invalid-request for options or a folder to adopt that cannot be used, conflict when something else is
 * there already (nothing was written then), unavailable when files cannot be read or written
 */
export async function init(options: InitOptions, deps: InitDeps): Promise<InitResult> {
  const { layout } = deps;
  if (options.adopt !== undefined && options.trustOld !== undefined) {
    throw new AppError(
      'invalid-request',
      '--adopt keeps the CAs of the cluster and --trust-old replaces them: give one of the two',
    );
  }
  const absolute = { ...options, adopt: absolutely(options.adopt), trustOld: absolutely(options.trustOld) };
  const existing = await readIfThere(layout.configFile);
  if (existing !== undefined) return initAgain(absolute, parseServerConfig(existing, layout.configFile), deps);
  return initFirst(absolute, deps);
}

async function initFirst(options: InitOptions, deps: InitDeps): Promise<InitResult> {
  const { layout, clock, machine, keyIterations } = deps;
  const { stateFolder } = layout;
  const { adopt: adoptFolder, trustOld } = options;
  const nowMs = clock.nowMs();

  // 1. everything is judged before anything is written
  const advertise = chooseAdvertise(options.advertise, options.apiEndpoint, machine);
  const found = { advertise: advertise.hosts, stateFolder, apiServerExtraNames: [] };
  wantedConfig(options, { ...found, kubeletClientOrganization: 'none', adminOrganization: 'system:masters' });
  const known = [machine.hostname, ...advertise.hosts];
  const adopted = await readCluster(options, known, nowMs);
  const kubeletClientOrganization = adopted.kubeletClientOrganization ?? 'system:masters';
  const { yaml, config } = wantedConfig(options, {
    ...found,
    apiServerExtraNames: adopted.extraNames,
    kubeletClientOrganization,
    // kubeadm gives its administrators and its API servers the same since 1.29
    adminOrganization: kubeletClientOrganization === 'none' ? 'system:masters' : kubeletClientOrganization,
  });
  await assertOwnAdmin(layout.adminFolder, await readIfThere(join(authorityFolder(stateFolder), 'fleet.crt')));

  // 2. the authorities, encrypted with the passphrase
  const passphrase = await ensurePassphrase(layout.passphraseFile, stateFolder);
  await makeFolder(stateFolder, { mode: 0o700 });
  const clusterName = config.cluster.name;
  const successors = trustOld !== undefined;
  const lock = { passphrase, keyIterations };
  const notes = await makeAuthorities({ stateFolder, ...lock, clusterName, adoptFolder, successors, nowMs });

  // 3. which roots count, then the certificates of the server and of the first administrator, recorded like all others
  const authorities = await withStore(config, clock, async (store) => {
    await trustOldRoots(trustOld, { store, clock, stateFolder, passphrase });
    const opened = await loadAuthorities(stateFolder, passphrase, await store.getRotation());
    await certify(config, opened, store, deps);
    return opened;
  });

  // 4. the daemon's user gets its state
  const owned = await ownState(stateFolder, deps.run);
  if (!owned) notes.push(`there is no user ${serverUser}: ${stateFolder} stays yours, and only you can run the server`);

  // 5. from here on the server is initialised
  await makeFolder(dirname(layout.configFile), { mode: 0o755 });
  await writeFileDurably(layout.configFile, yaml, { mode: 0o644 });
  return {
    ...resultOf(config, authorities, layout, adoptFolder),
    already: false,
    advertiseWhy: advertise.why,
    notes: [...notes, ...adopted.notes],
    nowMs,
  };
}

function readCluster(options: InitOptions, known: readonly string[], nowMs: number): Promise<AdoptedCluster> {
  const { adopt, trustOld } = options;
  if (adopt !== undefined) return readAdoptedCluster(adopt, options, known, nowMs);
  if (trustOld !== undefined) return readTrustedCluster(trustOld, options, known);
  return Promise.resolve(nothingAdopted);
}

async function withStore<T>(config: ServerConfig, clock: Clock, use: (store: Store) => Promise<T>): Promise<T> {
  const store = openSqliteStore(databaseFile(config.stateFolder), clock);
  try {
    return await use(store);
  } finally {
    await store.close();
  }
}

async function certify(config: ServerConfig, authorities: Authorities, store: Store, deps: InitDeps): Promise<void> {
  const { layout, clock, machine } = deps;
  const issueDeps = { store, authorities, config, clock };
  await renewServerCertificate({ ...issueDeps, hostname: machine.hostname });
  if ((await adminProblem(layout.adminFolder, authorities, clock.nowMs())) === undefined) return;
  await makeAdminCertificate(layout.adminFolder, issueDeps);
}

function absolutely(folder: string | undefined): string | undefined {
  return folder === undefined ? undefined : resolve(folder);
}
