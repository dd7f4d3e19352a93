/** What a container of a static pod runs, by its manifest. */
import { z } from 'zod';
import { foreignYamlValue } from '../detect/parse-yaml.ts';

const manifestSchema = z.object({
  spec: z.object({
    containers: z.array(
      z.object({
        name: z.string(),
        command: z.array(z.string()).nullish(),
        args: z.array(z.string()).nullish(),
        env: z.array(z.object({ name: z.string(), value: z.string().nullish() })).nullish(),
      }),
    ),
  }),
});

/**
 * The words that the container's first process has as its arguments: command and args with $(VAR) filled in from env, as
 * kubelet does it. https://kubernetes.io/docs/tasks/inject-data-application/define-interactive-environment-variable-container/
 *
 * A variable without a value of its own (valueFrom) stays as it is written.
 *
 * @returns undefined when the text is no manifest, has no such container, or leaves the program to the image
 */
export function commandOf(manifestText: string, container: string): string[] | undefined {
  const manifest = manifestSchema.safeParse(parsed(manifestText)).data;
  const found = manifest?.spec.containers.find(({ name }) => name === container);
  if (found?.command == null || found.command.length === 0) return undefined;
  const values = new Map<string, string>();
  for (const { name, value } of found.env ?? []) {
    if (value != null) values.set(name, expand(value, values)); // kubelet: a value may name those before it
  }
  return [...found.command, ...(found.args ?? [])].map((word) => expand(word, values));
}

/** Fills in $(NAME); $$ stands for a dollar sign, and an unknown name stays. (k8s.io/kubernetes third_party/forked/golang/expansion) */
function expand(text: string, values: ReadonlyMap<string, string>): string {
  return text.replaceAll(/\$(?:\$|\(([^)]*)\))/g, (whole, name: string | undefined) => {
    if (name === undefined) return '$';
    return values.get(name) ?? whole;
  });
}

function parsed(text: string): unknown {
  try {
    return foreignYamlValue(text);
  } catch {
    return undefined; // somebody may be editing it
  }
}
