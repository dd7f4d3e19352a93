/** Variables of a container, and $(VAR) in its command (k8s.io/kubernetes third_party/forked/golang/expansion, kubelet_pods.go). */

/** Variables by name; undefined for one whose value only kubelet knows. */
export type PodVariables = ReadonlyMap<string, string | undefined>;

/** An entry of a container's env. */
export interface PodVariable {
  name: string;
  value?: string | null | undefined;
  valueFrom?: unknown;
}

/** kubelet adds such variables for the cluster's services. */
const OF_A_SERVICE = /^[A-Z0-9_]+_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_[A-Z0-9_]+)?)$/;

/** The variables; a value may refer to those before it, and the last entry of a name counts. */
export function podVariables(entries: readonly PodVariable[]): PodVariables {
  const variables = new Map<string, string | undefined>();
  for (const { name, value, valueFrom } of entries) {
    const expanded = valueFrom == null ? expandPodVariables(value ?? '', variables) : { unknown: name };
    variables.set(name, 'text' in expanded ? expanded.text : undefined);
  }
  return variables;
}

/**
 * The text with $(NAME) filled in and $$ made one dollar sign. A name that is no variable stays as it is written.
 *
 * @returns the name of the first variable whose value only kubelet knows, when there is one
 */
export function expandPodVariables(text: string, variables: PodVariables): { text: string } | { unknown: string } {
  let unknown: string | undefined;
  const expanded = text.replaceAll(/\$(?:\$|\(([^)]*)\))/g, (whole, name?: string) => {
    if (name === undefined) return '$';
    const value = variables.get(name);
    if (value === undefined && (variables.has(name) || OF_A_SERVICE.test(name))) unknown ??= name;
    return value ?? whole;
  });
  return unknown === undefined ? { text: expanded } : { unknown };
}
