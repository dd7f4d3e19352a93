/** The files that give an etcd member its settings, wherever it has them from. */
import { AppError } from '../../common/errors/app-error.ts';
import type { DetectedEtcd } from '../detect/detected.ts';
import { etcdVariable } from '../detect/etcd.ts';
import { etcdDialect } from '../detect/flag-dialects.ts';
import { header } from './drop-in.ts';
import { editEtcdConfig } from './edit-etcd-config.ts';
import { urlSettings } from './etcd-settings.ts';
import type { FlagEdit } from './rewrite-command.ts';
import { wishEdit, wishFile } from './wish.ts';
import { type CommandOptions, type CommandWish, wishCommand } from './wish-command.ts';

/** Settings by where they go. */
interface Split {
  flags: Map<string, FlagEdit>;
  /** By name of the variable. */
  variables: Map<string, string>;
}

/**
 * The wish for a member's files.
 *
 * @param settings by flag name
 * @param pod what a static pod needs beside its settings
 * @throws AppError invalid-request for a file or a command line that cannot be edited
 */
export function wishEtcdFiles(
  etcd: DetectedEtcd,
  settings: ReadonlyMap<string, string>,
  pod: Pick<CommandOptions, 'folders' | 'probeFlags'>,
): CommandWish {
  const { process, configFile, environmentFile, environmentFilePath } = etcd;
  if (configFile !== undefined) {
    const { files, restartMark } = wishCommand(process, etcdDialect, new Map(), pod);
    return { files: [wishEdit(configFile, editEtcdConfig(configFile.text, settings)), ...files], restartMark };
  }
  const { flags, variables } = split(etcd, settings);
  if (process.kind === 'static-pod') {
    return wishCommand(process, etcdDialect, flags, { ...pod, environment: variables });
  }
  if (variables.size === 0) return wishCommand(process, etcdDialect, flags);
  const lines = [...variables].map(([name, value]) => `${name}=${quoteVariable(value)}`);
  const { files } = wishCommand(process, etcdDialect, flags, { environmentFile: environmentFilePath });
  const own = wishFile(environmentFilePath, environmentFile, `${[header, ...lines].join('\n')}\n`);
  return { files: [own, ...files], restartMark: undefined };
}

/** A setting stays where it came from, a flag or a variable: both at once are fatal. New ones join the TLS and URL settings. */
function split(etcd: DetectedEtcd, settings: ReadonlyMap<string, string>): Split {
  const { environment } = etcd.process;
  const byFlag = [...urlSettings, ...settings.keys()].some((name) => etcd.settings.get(name)?.from === 'flag');
  const flags = new Map<string, FlagEdit>();
  const variables = new Map<string, string>();
  for (const [name, value] of settings) {
    // an empty variable sets nothing, and yet etcd ends when its flag is there too
    const unset = byFlag && !environment.has(etcdVariable(name)) ? 'flag' : 'environment';
    if ((etcd.settings.get(name)?.from ?? unset) === 'flag') flags.set(name, { set: value });
    else variables.set(etcdVariable(name), value);
  }
  return { flags, variables };
}

/** systemd.exec(5), EnvironmentFile=: double quotes with a backslash before what has a meaning in them. */
function quoteVariable(value: string): string {
  if (value.includes('\n')) throw new AppError('invalid-request', 'a setting of etcd holds a line break: correct it');
  return /^[\w\-./:,=@+[\]%]*$/.test(value) ? value : `"${value.replace(/["\\`$]/g, '\\$&')}"`;
}
