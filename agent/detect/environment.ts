/** The environment of a unit's process: Environment= and EnvironmentFile= (systemd.exec(5)). */
import type { Layout } from '../layout.ts';
import { isVariableName, parseEnvironmentFile } from './environment-file.ts';
import { NotUnderstood } from './not-understood.ts';
import { below, readSource, readSourceIfAny } from './source-file.ts';
import { expandSpecifiers, type SpecifierContext } from './specifiers.ts';
import { splitQuoted } from './split-quoted.ts';
import { type Assignment, inForce } from './unit-file.ts';

/** What the environment is read with. */
export interface EnvironmentContext extends SpecifierContext {
  layout: Layout;
  /** Our own environment file: when it is missing it counts as empty, so that a plan can make it anew. */
  ownFile: string;
}

/**
 * The environment as systemd passes it: files win over Environment=, later ones over earlier ones. What systemd itself
 * adds (PATH, HOME, …) is not part of it.
 *
 * @throws NotUnderstood with path and line for anything that systemd would drop, for missing files without "-", and for
 *   settings that make the result depend on more than the unit (PassEnvironment=, UnsetEnvironment=, wildcards)
 */
export async function loadEnvironment(
  assignments: readonly Assignment[],
  context: EnvironmentContext,
): Promise<Map<string, string>> {
  for (const key of ['PassEnvironment', 'UnsetEnvironment']) {
    const [found] = inForce(assignments, 'Service', key);
    if (found !== undefined) throw new NotUnderstood(`${key}= is not understood: use Environment= alone`, found);
  }
  const environment = new Map<string, string>();
  for (const assignment of inForce(assignments, 'Service', 'Environment')) {
    for (const word of splitQuoted(assignment.value, assignment, 'refuse')) {
      const text = expandSpecifiers(word.text, context, assignment);
      const equals = text.indexOf('=');
      if (equals < 0 || !isVariableName(text.slice(0, equals))) {
        throw new NotUnderstood(
          // its value may be a secret
          `Environment= holds ${word.raw.replace(/=.*/s, '=…')}, which is no NAME=VALUE: systemd ignores it`,
          assignment,
        );
      }
      environment.set(text.slice(0, equals), text.slice(equals + 1));
    }
  }
  for (const assignment of inForce(assignments, 'Service', 'EnvironmentFile')) {
    for (const [name, value] of await loadFile(assignment, context)) environment.set(name, value);
  }
  return environment;
}

async function loadFile(assignment: Assignment, context: EnvironmentContext): Promise<ReadonlyMap<string, string>> {
  const text = expandSpecifiers(assignment.value, context, assignment);
  const optional = text.startsWith('-');
  const named = optional ? text.slice(1) : text;
  if (!named.startsWith('/')) throw new NotUnderstood('EnvironmentFile= is no absolute path', assignment);
  if (/[*?[\\]/.test(named)) {
    throw new NotUnderstood('EnvironmentFile= holds a wildcard, which is not understood: name the files', assignment);
  }
  const path = below(context.layout, named);
  const file = optional || path === context.ownFile ? await readSourceIfAny(path) : await readSource(path);
  return file === undefined ? new Map() : parseEnvironmentFile(file);
}
