/** A component's systemd unit, without kube-mtls' drop-in and as it is in force. */
import { basename, dirname, join } from 'node:path';
import type { RunCommand } from '../../common/run/command.ts';
import type { Layout } from '../layout.ts';
import { findAccount } from './accounts.ts';
import type { DetectedUnit, SourceFile, Word } from './detected.ts';
import { loadEnvironment } from './environment.ts';
import { type ExecLine, parseExecLine } from './exec-words.ts';
import { NotUnderstood } from './not-understood.ts';
import { refuseLink } from './refuse-link.ts';
import { below, readFolder, readSource, readSourceIfAny } from './source-file.ts';
import { expandSpecifiers } from './specifiers.ts';
import { isInUse, type SystemdState, systemdState } from './systemd-state.ts';
import { type Assignment, inForce, lastValue, parseUnitFile } from './unit-file.ts';
import type { OnNotAsked } from './version.ts';

/** Name of our drop-in in UNIT.d. */
export const DROP_IN = '50-kube-mtls.conf';
/** The environment file that our drop-in of etcd names. */
export const ETCD_ENVIRONMENT_FILE = '/etc/kube-mtls/etcd.env';

/** What a unit is loaded with. */
export interface UnitDeps {
  layout: Layout;
  run: RunCommand;
  /** The kernel's host name. */
  hostname: string;
  /** Told of a unit's program that is not asked for its version. */
  onNotAsked?: OnNotAsked | undefined;
}

/** Settings of a unit's files taken together. */
interface Reading {
  assignments: Assignment[];
  environment: ReadonlyMap<string, string>;
  exec: ExecLine;
}

/**
 * Loads a unit.
 *
 * @param program - what its command has to run, "etcd": a shell, a wrapper or a container engine is not understood
 * @returns undefined when the unit is not in use on this node
 * @throws NotUnderstood with path and line for whatever keeps it from being understood as a whole; AppError
 *   'unavailable' when systemd does not answer
 */
export async function loadUnit(
  deps: UnitDeps,
  name: string,
  program: string,
  signal: AbortSignal,
): Promise<DetectedUnit | undefined> {
  const state = await systemdState(deps.run, name, signal);
  if (!isInUse(state)) return undefined;
  const dropInPath = below(deps.layout, `/etc/systemd/system/${name}.d/${DROP_IN}`);
  const files = await readFiles(deps.layout, name, state, dropInPath);
  await refuseLink(dropInPath, 'remove the link');
  const dropIn = await readSourceIfAny(dropInPath);
  const base = await readUnit(deps, name, program, files);
  const effective = dropIn === undefined ? base : await readUnit(deps, name, program, inOrder(files, dropIn));
  if (state.loadState !== 'loaded') {
    throw new NotUnderstood(`systemd cannot load ${name} (${state.loadState}): see systemctl status ${name}`, {
      path: below(deps.layout, state.fragmentPath),
    });
  }
  const user = runsAsRoot(base.exec) ? '' : state.user;
  return {
    kind: 'unit',
    name,
    files,
    command: base.exec.words,
    environment: base.environment,
    user: user === '' ? 'root' : user,
    ...(await accountOf(deps, name, user, base)),
    dropInPath,
    dropIn,
    activeState: state.activeState,
    effectiveCommand: effective.exec.words,
    effectiveEnvironment: effective.environment,
  };
}

/** The fragment and the drop-ins of others. */
async function readFiles(layout: Layout, name: string, state: SystemdState, own: string): Promise<SourceFile[]> {
  if (state.fragmentPath === '')
    throw new NotUnderstood(`${name} has no unit file: it was made at run time`, { path: '' });
  const fragment = below(layout, state.fragmentPath);
  const template = name.replace(/@.+(?=\.)/, '@');
  if (![name, template].includes(basename(fragment))) {
    throw new NotUnderstood(`${name} is only another name of ${basename(fragment)}, which is not understood`, {
      path: fragment,
    });
  }
  const others = state.dropInPaths.map((path) => below(layout, path)).filter((path) => path !== own);
  const elsewhere = others.find((path) => basename(path) === DROP_IN);
  if (elsewhere !== undefined) {
    throw new NotUnderstood(`has the name of kube-mtls' own drop-in ${own}: rename it`, { path: elsewhere });
  }
  for (const file of await confFiles(dirname(own))) {
    if (file === own || others.includes(file)) continue;
    throw new NotUnderstood('systemd has not loaded this drop-in: run systemctl daemon-reload, or remove it', {
      path: file,
    });
  }
  const files: SourceFile[] = [];
  for (const path of [fragment, ...others]) files.push(await readSource(path));
  const later = files.slice(1).filter((file) => comesAfterOurs(file));
  for (const assignment of later.flatMap(parseUnitFile)) {
    if (assignment.key !== 'ExecStart' && assignment.key !== 'EnvironmentFile') continue;
    throw new NotUnderstood(
      `sets ${assignment.key}= and is read after ${DROP_IN}, which it would undo: rename it to 40-${basename(assignment.path)}`,
      assignment,
    );
  }
  return files;
}

async function confFiles(folder: string): Promise<string[]> {
  const entries = (await readFolder(folder)) ?? [];
  return entries.filter(({ name }) => name.endsWith('.conf') && !name.startsWith('.')).map(({ path }) => path);
}

/** systemd applies drop-ins in the byte order of their names, whatever folder they are in. */
function comesAfterOurs(file: SourceFile): boolean {
  return Buffer.compare(Buffer.from(basename(file.path)), Buffer.from(DROP_IN)) > 0;
}

function inOrder([fragment, ...others]: readonly SourceFile[], dropIn: SourceFile): SourceFile[] {
  const before = others.filter((file) => !comesAfterOurs(file));
  return [...(fragment === undefined ? [] : [fragment]), ...before, dropIn, ...others.filter(comesAfterOurs)];
}

async function readUnit(
  { layout, hostname }: UnitDeps,
  name: string,
  program: string,
  files: readonly SourceFile[],
): Promise<Reading> {
  const assignments = files.flatMap(parseUnitFile);
  for (const key of ['RootDirectory', 'RootImage']) {
    const [found] = inForce(assignments, 'Service', key);
    if (found !== undefined) throw new NotUnderstood(`${key}= is not understood: its files are elsewhere`, found);
  }
  const [command, second] = inForce(assignments, 'Service', 'ExecStart');
  if (command === undefined) throw new NotUnderstood('the unit has no ExecStart=', { path: files[0]?.path ?? '' });
  if (second !== undefined) throw new NotUnderstood('the unit has several ExecStart=: only one is understood', second);
  const machineId = (await readSourceIfAny(below(layout, '/etc/machine-id')))?.text.trim();
  const context = { layout, hostname, machineId, unitName: name, ownFile: join(layout.root, ETCD_ENVIRONMENT_FILE) };
  const environment = await loadEnvironment(assignments, context);
  const exec = parseExecLine(command.value, { ...context, environment, place: command });
  const runs = programOf(exec.words);
  if (basename(runs) !== program) {
    throw new NotUnderstood(`ExecStart= runs ${runs} and not ${program} itself, which is not understood`, command);
  }
  return { assignments, environment, exec };
}

/** The program of a command line. */
export function programOf(command: readonly Word[]): string {
  return command[0]?.values[0] ?? '';
}

/** systemd.service(5): "+" and "!" leave User= and Group= aside; "!!" only where ambient capabilities are missing. */
function runsAsRoot({ prefixes }: ExecLine): boolean {
  return prefixes.includes('+') || (prefixes.includes('!') && !prefixes.includes('!!'));
}

async function accountOf({ layout, hostname }: UnitDeps, unitName: string, user: string, base: Reading) {
  const place = base.assignments.findLast(({ key }) => key === 'User' || key === 'Group') ?? { path: '' };
  const group = runsAsRoot(base.exec) ? '' : lastValue(base.assignments, 'Service', 'Group');
  return findAccount(layout, user, expandSpecifiers(group, { unitName, hostname }, place), place);
}
