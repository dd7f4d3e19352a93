/** An etcd member, as a systemd unit or a static pod. */
import { join } from 'node:path';
import { certificateSettings } from './certificate-settings.ts';
import type { DetectedEtcd, DetectedPod, DetectedUnit, EtcdSetting, SourceFile, Word } from './detected.ts';
import { etcdFileSettings } from './etcd-config.ts';
import { etcdDialect } from './flag-dialects.ts';
import { type Flag, flagValues, lastFlag, parseFlags } from './flags.ts';
import { refuseHiddenPaths } from './hidden-paths.ts';
import { effectivePlaceOf, loadProcess, type ProcessDeps, placeOf, processVersion } from './load-process.ts';
import { NotUnderstood, type Place } from './not-understood.ts';
import { refuseLink } from './refuse-link.ts';
import { below, readSource, readSourceIfAny } from './source-file.ts';
import { ETCD_ENVIRONMENT_FILE } from './unit.ts';

type Settings = Map<string, EtcdSetting>;

/**
 * Finds the member.
 *
 * @returns undefined when there is none
 * @throws NotUnderstood when it is configured in a way that this program cannot follow
 */
export async function detectEtcd(deps: ProcessDeps, signal: AbortSignal): Promise<DetectedEtcd | undefined> {
  const process = await loadProcess(deps, 'etcd', signal);
  if (process === undefined) return undefined;
  const place = placeOf(process);
  const path = configPath(process.command, process.environment, place);
  const effectivePlace = effectivePlaceOf(process);
  if (configPath(process.effectiveCommand, process.effectiveEnvironment, effectivePlace) !== path) {
    throw new NotUnderstood("kube-mtls' own drop-in changes --config-file: remove it", effectivePlace);
  }
  const configFile = await readConfigFile(deps, process, path, place);
  const { settings, effectiveSettings } =
    configFile === undefined ? byCommand(process, place, effectivePlace) : byFile(configFile);
  refuseHiddenPaths(
    process,
    certificateSettings.etcd.map((name) => ({ by: `--${name}`, path: effectiveSettings.get(name)?.value ?? '' })),
  );
  const environmentFilePath = join(deps.layout.root, ETCD_ENVIRONMENT_FILE);
  await refuseLink(environmentFilePath, 'remove the link');
  return {
    component: 'etcd',
    process,
    version: await processVersion(deps, process, signal),
    settings,
    effectiveSettings,
    configFile,
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
  const settings: Settings = new Map();
  for (const [name, value] of environment) {
    if (!name.startsWith('ETCD_') || value === '') continue;
    settings.set(name.slice('ETCD_'.length).toLowerCase().replaceAll('_', '-'), { value, from: 'environment' });
  }
  for (const { name, value } of flags) settings.set(name, { value, from: 'flag' });
  return settings;
}

/** The configuration file: the flag's, then the variable's (etcdmain/config.go, parse); '' for none. */
function configPath(command: readonly Word[], environment: ReadonlyMap<string, string>, place: Place): string {
  const flag = lastFlag(flagValues(parseFlags(command, etcdDialect, place)), 'config-file') ?? '';
  return flag === '' ? (environment.get(etcdVariable('config-file')) ?? '') : flag;
}

async function readConfigFile(
  { layout }: ProcessDeps,
  process: DetectedUnit | DetectedPod,
  path: string,
  place: Place,
): Promise<SourceFile | undefined> {
  if (path === '') return undefined;
  if (!path.startsWith('/')) throw new NotUnderstood(`--config-file=${path} is no absolute path: write it out`, place);
  refuseHiddenPaths(process, [{ by: '--config-file', path }]);
  const file = await readSource(below(layout, path));
  await refuseLink(file.path, 'name that in --config-file');
  return file;
}

function byCommand(process: DetectedUnit | DetectedPod, place: Place, effectivePlace: Place) {
  const flags = parseFlags(process.command, etcdDialect, place);
  refuseConflicts(flags, process.environment, place);
  const effectiveFlags = parseFlags(process.effectiveCommand, etcdDialect, effectivePlace);
  return {
    settings: etcdSettings(flags, process.environment),
    effectiveSettings: etcdSettings(effectiveFlags, process.effectiveEnvironment),
  };
}

/** The file is edited in place, so nothing tells what it would be without us. */
function byFile(file: SourceFile) {
  const settings = etcdFileSettings(file);
  return { settings, effectiveSettings: settings };
}

/** etcd ends at once when a flag and its variable are both there, even an empty one; before 3.4 it took the flag with a warning. */
function refuseConflicts(flags: readonly Flag[], environment: ReadonlyMap<string, string>, place: Place): void {
  const conflict = flags.find(({ name }) => environment.has(etcdVariable(name)));
  if (conflict === undefined) return;
  throw new NotUnderstood(
    `both --${conflict.name} and ${etcdVariable(conflict.name)} are set: etcd 3.4 and later refuses to start, earlier ones take the flag; remove one`,
    place,
  );
}
