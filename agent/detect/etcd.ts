/** An etcd member that runs as a systemd unit. */
import { join } from 'node:path';
import type { DetectedEtcd, DetectedUnit } from './detected.ts';
import { etcdDialect } from './flag-dialects.ts';
import { type Flag, parseFlags } from './flags.ts';
import { NotUnderstood, type Place } from './not-understood.ts';
import { readSourceIfAny } from './source-file.ts';
import { ETCD_ENVIRONMENT_FILE, loadUnit, programOf, type UnitDeps } from './unit.ts';
import { programVersion } from './version.ts';

/** A setting and where it comes from. */
export type EtcdSetting = { value: string; from: 'flag' | 'environment' };

/**
 * Finds the member.
 *
 * @returns undefined when there is none
 * @throws NotUnderstood when it is configured in a way that this program cannot follow
 */
export async function detectEtcd(
  deps: UnitDeps,
  unitName: string,
  signal: AbortSignal,
): Promise<DetectedEtcd | undefined> {
  const unit = await loadUnit(deps, unitName, 'etcd', signal);
  if (unit === undefined) return undefined;
  const place = { path: unit.files[0]?.path ?? '' };
  const flags = parseFlags(unit.command, etcdDialect, place);
  refuseConflicts(flags, unit, place);
  const settings = etcdSettings(flags, unit.environment);
  const effectiveFlags = parseFlags(unit.effectiveCommand, etcdDialect, { path: unit.dropInPath });
  const effectiveSettings = etcdSettings(effectiveFlags, unit.effectiveEnvironment);
  for (const found of [settings, effectiveSettings]) {
    if (!found.has('config-file')) continue;
    throw new NotUnderstood('etcd reads --config-file, which this version leaves alone: use ETCD_ variables', place);
  }
  const environmentFilePath = join(deps.layout.root, ETCD_ENVIRONMENT_FILE);
  return {
    component: 'etcd',
    unit,
    version: await programVersion(deps.run, programOf(unit.command), signal),
    settings,
    effectiveSettings,
    environmentFilePath,
    environmentFile: await readSourceIfAny(environmentFilePath),
  };
}

/** The variable that etcd reads for a flag (pkg/flags FlagToEnv): "listen-client-urls" is ETCD_LISTEN_CLIENT_URLS. */
export function etcdVariable(flag: string): string {
  return `ETCD_${flag.toUpperCase().replaceAll('-', '_')}`;
}

/** Settings by flag name; an empty variable sets nothing (pkg/flags SetFlagsFromEnv), a flag's last value counts. */
export function etcdSettings(
  flags: readonly Flag[],
  environment: ReadonlyMap<string, string>,
): Map<string, EtcdSetting> {
  const settings = new Map<string, EtcdSetting>();
  for (const [name, value] of environment) {
    if (!name.startsWith('ETCD_') || value === '') continue;
    settings.set(name.slice('ETCD_'.length).toLowerCase().replaceAll('_', '-'), { value, from: 'environment' });
  }
  for (const { name, value } of flags) settings.set(name, { value, from: 'flag' });
  return settings;
}

/** etcd ends at once when a flag and its variable are both there, even an empty one. */
function refuseConflicts(flags: readonly Flag[], unit: DetectedUnit, place: Place): void {
  const conflict = flags.find(({ name }) => unit.environment.has(etcdVariable(name)));
  if (conflict === undefined) return;
  throw new NotUnderstood(
    `both --${conflict.name} and ${etcdVariable(conflict.name)} are set, and etcd refuses to start: remove one`,
    place,
  );
}
