/** The containers of a static pod, told by what its manifest says that they run. */
import { basename } from 'node:path';
import type { Layout } from '../layout.ts';
import { type ContainerProcess, findContainers, runs } from './find-containers.ts';
import { commandOf } from './manifest-command.ts';
import type { ProcessRef } from './process-ref.ts';

/** A static pod. */
export type PodRef = Extract<ProcessRef, { kind: 'static-pod' }>;

/** What runs of a program, the one that started last first. */
export interface PodContainers {
  /** With exactly the command of the manifest. */
  running: ContainerProcess[];
  /** The same program with other arguments: an older manifest's, or another pod's. */
  others: ContainerProcess[];
}

/**
 * Looks for the containers.
 *
 * @param manifestText the manifest as it is, or as it was
 * @returns undefined when the text says no command
 */
export async function podContainers(
  layout: Layout,
  { container }: PodRef,
  manifestText: string,
): Promise<PodContainers | undefined> {
  const command = commandOf(manifestText, container);
  if (command === undefined) return undefined;
  const all = await findContainers(layout, basename(command[0] ?? ''));
  return {
    running: all.filter((each) => runs(each, command)),
    others: all.filter((each) => !runs(each, command)),
  };
}

/** The first twelve digits, as container runtimes print an identifier. */
export function shortId(containerId: string): string {
  return containerId.slice(0, 12);
}
