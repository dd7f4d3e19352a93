/** What runs a component: its systemd unit or its static pod. */
import type { Component } from '../../common/names/names.ts';
import type { DetectedPod, DetectedUnit } from './detected.ts';
import { imageVersion } from './image-version.ts';
import { NotUnderstood, type Place } from './not-understood.ts';
import type { DetectOverrides } from './overrides.ts';
import type { StaticPods } from './static-pods.ts';
import { loadUnit, programOf, type UnitDeps } from './unit.ts';
import { programVersion } from './version.ts';

/** What components are found with. */
export interface ProcessDeps extends UnitDeps {
  overrides: DetectOverrides;
  pods: StaticPods;
}

/**
 * Loads what runs a component.
 *
 * @returns undefined when nothing on this node does
 * @throws NotUnderstood for what cannot be followed, for a component that is there both ways, and for a unit in agent.yaml
 *   that is not in use; AppError 'unavailable' when systemd does not answer
 */
export async function loadProcess(
  deps: ProcessDeps,
  component: Exclude<Component, 'admin'>,
  signal: AbortSignal,
): Promise<DetectedUnit | DetectedPod | undefined> {
  const override = deps.overrides.components?.[component];
  const pod = deps.pods.get(component);
  const name = override?.unit ?? `${component}.service`;
  const unit = override?.manifest === undefined ? await loadUnit(deps, name, component, signal) : undefined;
  if (override?.unit !== undefined) {
    if (unit !== undefined) return unit;
    throw new NotUnderstood(
      `agent.yaml names ${name} as the unit of ${component}, and it is neither enabled nor active: correct it`,
      { path: deps.layout.configFile },
    );
  }
  if (unit !== undefined && pod !== undefined) {
    const [path, doubt] =
      pod instanceof NotUnderstood ? [pod.place.path, ` (of its manifest: ${pod.message})`] : [pod.manifest.path, ''];
    throw new NotUnderstood(
      `runs as ${name} and as a static pod${doubt}: stop one, or name in agent.yaml the one that counts (components.${component})`,
      { path },
    );
  }
  if (pod instanceof NotUnderstood) throw pod;
  return unit ?? pod;
}

/** Where its command line stands. */
export function placeOf(process: DetectedUnit | DetectedPod): Place {
  return { path: process.kind === 'unit' ? (process.files[0]?.path ?? '') : process.manifest.path };
}

/** Where the command line that is in force stands. */
export function effectivePlaceOf(process: DetectedUnit | DetectedPod): Place {
  return process.kind === 'unit' ? { path: process.dropInPath } : placeOf(process);
}

/**
 * Version of the program; empty when it cannot be told. A unit's program is asked; that of a pod is not on the host, so
 * the tag of its image tells.
 *
 * @throws the signal's reason when it fires
 */
export async function processVersion(
  deps: UnitDeps,
  process: DetectedUnit | DetectedPod,
  signal: AbortSignal,
): Promise<string> {
  if (process.kind === 'static-pod') return imageVersion(process);
  return programVersion(deps.run, programOf(process.command), signal, deps.onNotAsked);
}
