/** `init` where the server is initialised already: it compares, makes nothing anew and replaces no CA. */
import { existsSync } from 'node:fs';
import { AppError } from '../../common/errors/app-error.ts';
import type { Clock } from '../../common/time/clock.ts';
import { type Authorities, assertMade, loadAuthorities } from '../authority/authorities.ts';
import { readPassphrase } from '../authority/passphrase.ts';
import type { ServerConfig } from '../config/server-config.ts';
import { databaseFile } from '../config/server-layout.ts';
import { openSqliteStore } from '../store/sqlite-store.ts';
import type { RotationRecord } from '../store/store.ts';
import { adminProblem, assertOwnAdmin, makeAdminCertificate } from './admin-certificate.ts';
import { assertSameCluster } from './adopted-cluster.ts';
import type { InitDeps } from './init.ts';
import { assertSameConfig, type InitOptions } from './init-options.ts';
import { type InitResult, resultOf } from './init-result.ts';
import { ownState } from './own-state.ts';

/**
 * Says what is there. Only an administrator's certificate that is lost, over or soon over is replaced, since root, who reads the
 * CA's passphrase, has no other way back in.
 *
 * @throws AppError conflict when the options ask for anything else than what is there, unavailable when what is there
 * cannot be used, with what to restore
 */
export async function initAgain(options: InitOptions, config: ServerConfig, deps: InitDeps): Promise<InitResult> {
  const { layout, clock } = deps;
  const nowMs = clock.nowMs();
  assertSameConfig(options, config, layout.configFile);
  const authorities = await openAuthorities(config, deps);
  const folder = options.adopt ?? options.trustOld;
  if (folder !== undefined) await assertSameCluster(folder, authorities);
  await assertOwnAdmin(layout.adminFolder, authorities.rootsPem('fleet'));

  const notes: string[] = [];
  const problem = await adminProblem(layout.adminFolder, authorities, nowMs);
  if (problem !== undefined) {
    await replaceAdmin(config, authorities, deps);
    notes.push(`the administrator's certificate was made anew: ${problem}`);
  }
  return {
    ...resultOf(config, authorities, layout, options.adopt),
    already: true,
    advertiseWhy: undefined,
    notes,
    nowMs,
  };
}

async function openAuthorities(config: ServerConfig, { layout, clock }: InitDeps): Promise<Authorities> {
  const passphrase = await readPassphrase({
    configured: config.passphraseFile,
    credentialsFolder: undefined,
    fallback: layout.passphraseFile,
  });
  try {
    await assertMade(config.stateFolder);
    return await loadAuthorities(config.stateFolder, passphrase, await recordedRotation(config, clock));
  } catch (error) {
    const failure = AppError.from(error);
    if (failure.reason !== 'not-found') throw failure;
    throw lost(`${layout.configFile} is there, but the CAs in ${config.stateFolder} are not`, layout.configFile);
  }
}

/** Undefined without a store: what is lost then is said when it is needed. */
async function recordedRotation(config: ServerConfig, clock: Clock): Promise<RotationRecord | undefined> {
  const file = databaseFile(config.stateFolder);
  if (!existsSync(file)) return undefined;
  const store = openSqliteStore(file, clock);
  try {
    return await store.getRotation();
  } finally {
    await store.close();
  }
}

async function replaceAdmin(config: ServerConfig, authorities: Authorities, deps: InitDeps): Promise<void> {
  const { layout, clock } = deps;
  const file = databaseFile(config.stateFolder);
  // an empty one would look like a fleet without nodes and certificates
  if (!existsSync(file)) throw lost(`${layout.configFile} is there, but ${file} is not`, layout.configFile);
  const store = openSqliteStore(file, clock);
  try {
    await makeAdminCertificate(layout.adminFolder, { store, authorities, config, clock });
  } finally {
    await store.close();
  }
  await ownState(config.stateFolder, deps.run);
}

function lost(what: string, configFile: string): AppError {
  return new AppError(
    'unavailable',
    `${what}: restore the backup; or, if no node has joined, move ${configFile} away and run init again`,
  );
}
