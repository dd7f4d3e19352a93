/** Configuration files of kube-scheduler and kube-proxy: the kubeconfig that they name. */
import type { SourceFile } from './detected.ts';
import { NotUnderstood } from './not-understood.ts';
import { parseYamlFile, textAt } from './yaml-file.ts';

/**
 * clientConnection.kubeconfig of a configuration; '' where it names none.
 *
 * @throws NotUnderstood with the line when the file is of another kind
 */
export function configuredKubeconfig(
  file: SourceFile,
  kind: 'KubeSchedulerConfiguration' | 'KubeProxyConfiguration',
): string {
  const yaml = parseYamlFile(file);
  const found = textAt(file, yaml, ['kind']);
  if (found === kind) return textAt(file, yaml, ['clientConnection', 'kubeconfig']);
  const line = yaml.lineOf(yaml.document.getIn(['kind'], true));
  throw new NotUnderstood(`is no ${kind} but "${found}"`, { path: file.path, line });
}
