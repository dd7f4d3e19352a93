/** Exec probes that name certificates: etcd's in the manifests of kubeadm before 1.17 call etcdctl with files of the cluster's CA. */
import { z } from 'zod';
import { parseYaml, type YamlEdit } from './edit-yaml.ts';
import type { EditedContainer } from './rewrite-manifest.ts';

const probeNames = ['livenessProbe', 'readinessProbe', 'startupProbe'] as const;
const commandSchema = z.array(z.string());

/**
 * The edits that give flags in the commands of a container's probes other values. Only absolute paths are replaced; a flag can
 * stand in an item of its own, with its value in the next one, or within a shell command.
 *
 * @param flags by name without dashes
 */
export function probeEdits({ manifest, path }: EditedContainer, flags: ReadonlyMap<string, string>): YamlEdit[] {
  if (flags.size === 0) return [];
  const document = parseYaml(manifest.file.text).toJS() as unknown;
  return probeNames.flatMap((probe) => {
    const at = [...path, probe, 'exec', 'command'];
    const command = commandSchema.safeParse(valueAt(document, at)).data ?? [];
    return command.flatMap((text, index) => itemEdits(text, command[index - 1] ?? '', [...at, index], flags));
  });
}

function itemEdits(
  text: string,
  before: string,
  path: YamlEdit['path'],
  flags: ReadonlyMap<string, string>,
): YamlEdit[] {
  const wanted = flags.get(/^--?([\w-]+)$/.exec(before)?.[1] ?? '');
  if (wanted !== undefined) return text.startsWith('/') && text !== wanted ? [{ kind: 'set', path, to: wanted }] : [];
  return [...text.matchAll(/(?<=^|\s)(--?([\w-]+)[ =])(\/[^\s"'`;|&]*)/g)].flatMap(
    ([from, flag, name = '', value]): YamlEdit[] => {
      const to = flags.get(name);
      return to === undefined || to === value ? [] : [{ kind: 'substitute', path, from, to: `${flag}${to}` }];
    },
  );
}

function valueAt(root: unknown, path: YamlEdit['path']): unknown {
  // a map's keys and a list's indexes are read in the same way
  return path.reduce<unknown>((node, key) => (node as Record<string, unknown> | null | undefined)?.[key], root);
}
