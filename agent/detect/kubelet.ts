/** A kubelet that runs as a systemd unit. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../../common/errors/app-error.ts';
import type { Layout } from '../layout.ts';
import type { DetectedKubelet, SourceFile } from './detected.ts';
import { kubeletDialect } from './flag-dialects.ts';
import { flagValues, lastFlag, parseFlags } from './flags.ts';
import { parseKubeconfig } from './kubeconfig.ts';
import { parseKubeletConfig } from './kubelet-config.ts';
import { NotUnderstood, type Place } from './not-understood.ts';
import { below, codeOf, readSource } from './source-file.ts';
import { loadUnit, programOf, type UnitDeps } from './unit.ts';
import { programVersion } from './version.ts';

type Flags = ReadonlyMap<string, readonly string[]>;

/**
 * Finds the kubelet.
 *
 * @returns undefined when there is none
 * @throws NotUnderstood when it, its configuration or its kubeconfig is written in a way that this program cannot follow
 */
export async function detectKubelet(
  deps: UnitDeps,
  unitName: string,
  signal: AbortSignal,
): Promise<DetectedKubelet | undefined> {
  const unit = await loadUnit(deps, unitName, 'kubelet', signal);
  if (unit === undefined) return undefined;
  const place = { path: unit.files[0]?.path ?? '' };
  const flags = flagValues(parseFlags(unit.command, kubeletDialect, place));
  const kubeconfig = await readNamed(deps.layout, flags, 'kubeconfig', place);
  if (kubeconfig === undefined) {
    throw new NotUnderstood('kubelet runs without --kubeconfig and belongs to no cluster', place);
  }
  parseKubeconfig(kubeconfig);
  const config = await readNamed(deps.layout, flags, 'config', place);
  if (config !== undefined) parseKubeletConfig(config);
  await refuseConfigFolder(deps.layout, flags);
  return {
    component: 'kubelet',
    unit,
    version: await programVersion(deps.run, programOf(unit.command), signal),
    flags,
    effectiveFlags: flagValues(parseFlags(unit.effectiveCommand, kubeletDialect, { path: unit.dropInPath })),
    config,
    kubeconfig,
    nodeName: (lastFlag(flags, 'hostname-override') || deps.hostname).trim().toLowerCase(),
  };
}

/** The file that a flag names; undefined when the flag is missing or empty, which is the same to kubelet. */
async function readNamed(layout: Layout, flags: Flags, name: string, place: Place): Promise<SourceFile | undefined> {
  const path = lastFlag(flags, name) ?? '';
  if (path === '') return undefined;
  if (!path.startsWith('/')) throw new NotUnderstood(`--${name}=${path} is no absolute path: write it out`, place);
  return readSource(below(layout, path));
}

/** Files in --config-dir override the configuration, and which of their keys do is not understood. */
async function refuseConfigFolder(layout: Layout, flags: Flags): Promise<void> {
  const named = lastFlag(flags, 'config-dir') ?? '';
  if (named === '') return;
  const folder = below(layout, named);
  let names: string[];
  try {
    names = await readdir(folder);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return;
    throw new NotUnderstood(`cannot be read: ${messageOf(error)}`, { path: folder }, error);
  }
  const found = names.find((name) => name.endsWith('.conf'));
  if (found === undefined) return;
  throw new NotUnderstood(
    'overrides the configuration by --config-dir, which is not understood: merge it into --config',
    {
      path: join(folder, found),
    },
  );
}
