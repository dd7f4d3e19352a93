/** A static pod out of its manifest: what its container runs, with which variables, files and user. */
import { basename, normalize } from 'node:path';
import type { Component } from '../../common/names/names.ts';
import type { Layout } from '../layout.ts';
import { findContainers, runs } from '../process/find-containers.ts';
import { userName } from './accounts.ts';
import type { DetectedPod, PodMount, Word } from './detected.ts';
import type { Manifest, ManifestContainer } from './manifest.ts';
import { NotUnderstood } from './not-understood.ts';
import { expandPodVariables, type PodVariables, podVariables } from './pod-variables.ts';
import { codeOf } from './source-file.ts';

/** What a pod is read with. */
export interface PodDeps {
  layout: Layout;
  /** Name of the Node object: kubelet appends it to the names of static pods. */
  nodeName: string;
}

/** A mount of a container, whatever it is. */
export interface ContainerMount extends PodMount {
  /** Path on the host, or undefined for a volume that is no part of it. */
  hostPath: string | undefined;
}

/**
 * The pod.
 *
 * @param index - of the container that runs the component's program
 * @throws NotUnderstood with the line for a command, variable or user that only kubelet or the image knows
 */
export async function readPod(
  deps: PodDeps,
  component: Component,
  manifest: Manifest,
  index: number,
): Promise<DetectedPod> {
  const { file, pod } = manifest;
  const container = pod.spec.containers[index];
  if (container === undefined) throw new NotUnderstood('has no such container', { path: file.path });
  const variables = podVariables(container.env ?? []);
  const command = commandOf(manifest, index, container, variables);
  if (component === 'etcd') refuseUnknownVariables(manifest, index, container, variables);
  const environment = new Map<string, string>();
  for (const [name, value] of variables) if (value !== undefined) environment.set(name, value);
  const { uid, gid } = accountOf(manifest, index, container);
  return {
    kind: 'static-pod',
    name: `${pod.metadata.name}-${deps.nodeName}`,
    // kubelet's own default (pkg/kubelet/config/common.go, applyDefaults)
    namespace: pod.metadata.namespace || 'default',
    manifest: file,
    container: container.name,
    command,
    environment,
    mounts: mountsOf(manifest, container)
      .filter(({ path, hostPath }) => path === hostPath)
      .map(({ path, readOnly }) => ({ path, readOnly })),
    user: await userName(deps.layout, uid),
    uid,
    gid,
    activeState: await activeState(deps.layout, component, command),
    effectiveCommand: command,
    effectiveEnvironment: environment,
  };
}

/** All mounts of a container. */
export function mountsOf({ pod }: Manifest, container: ManifestContainer): ContainerMount[] {
  return (container.volumeMounts ?? []).map(({ name, mountPath, readOnly, subPath, subPathExpr }) => {
    const hostPath = pod.spec.volumes?.find((volume) => volume.name === name)?.hostPath?.path;
    const whole = hostPath !== undefined && !subPath && !subPathExpr;
    return { path: clean(mountPath), hostPath: whole ? clean(hostPath) : undefined, readOnly: readOnly === true };
  });
}

function clean(path: string): string {
  return normalize(path).replace(/(?<=.)\/$/, '');
}

function commandOf(manifest: Manifest, index: number, container: ManifestContainer, variables: PodVariables): Word[] {
  return (['command', 'args'] as const).flatMap((list) =>
    (container[list] ?? []).map((raw, at): Word => {
      const expanded = expandPodVariables(raw, variables);
      if ('text' in expanded) return { raw, values: [expanded.text] };
      throw new NotUnderstood(`uses $(${expanded.unknown}), whose value only kubelet knows: write it out`, {
        path: manifest.file.path,
        line: manifest.lineAt(['spec', 'containers', index, list, at]),
      });
    }),
  );
}

/** etcd takes its settings from variables. */
function refuseUnknownVariables(
  { file, lineAt }: Manifest,
  index: number,
  container: ManifestContainer,
  variables: PodVariables,
): void {
  const line = (...keys: string[]) => lineAt(['spec', 'containers', index, ...keys]);
  if ((container.envFrom ?? []).length > 0) {
    throw new NotUnderstood('envFrom is not understood: use env', { path: file.path, line: line('envFrom') });
  }
  for (const [name, value] of variables) {
    if (!name.startsWith('ETCD_') || value !== undefined) continue;
    throw new NotUnderstood(`only kubelet knows the value of ${name}: write it out`, {
      path: file.path,
      line: line('env'),
    });
  }
}

function accountOf(manifest: Manifest, index: number, container: ManifestContainer): { uid: number; gid: number } {
  const { securityContext: own } = container;
  const { securityContext: shared } = manifest.pod.spec;
  const uid = own?.runAsUser ?? shared?.runAsUser;
  if (uid == null && (own?.runAsNonRoot ?? shared?.runAsNonRoot) === true) {
    throw new NotUnderstood('runAsNonRoot leaves the user to the image: set runAsUser too', {
      path: manifest.file.path,
      line: manifest.lineAt(['spec', 'containers', index]),
    });
  }
  return { uid: uid ?? 0, gid: own?.runAsGroup ?? shared?.runAsGroup ?? 0 };
}

async function activeState(layout: Layout, component: Component, command: readonly Word[]): Promise<string> {
  const words = command.flatMap(({ values }) => values);
  try {
    const found = await findContainers(layout, basename(words[0] ?? component));
    return found.some((process) => runs(process, words)) ? 'active' : 'activating';
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return 'activating'; // no /proc
    throw error;
  }
}
