/** The kubeconfig files of administrators: people use them, nothing runs. */
import type { Layout } from '../layout.ts';
import type { DetectedAdmin } from './detected.ts';
import { parseKubeconfig } from './kubeconfig.ts';
import { type DetectOverrides, kubeadmAdminKubeconfigs } from './overrides.ts';
import { refuseLink } from './refuse-link.ts';
import { below, readSourceIfAny } from './source-file.ts';

/**
 * Finds those that exist.
 *
 * @returns undefined when none does
 * @throws NotUnderstood when one is no kubeconfig, or a symbolic link
 */
export async function detectAdmin(layout: Layout, overrides: DetectOverrides): Promise<DetectedAdmin | undefined> {
  const kubeconfigs: DetectedAdmin['kubeconfigs'][number][] = [];
  for (const { path, profile } of overrides.adminKubeconfigs ?? kubeadmAdminKubeconfigs) {
    const file = await readSourceIfAny(below(layout, path));
    if (file === undefined) continue;
    await refuseLink(file.path, 'name that under adminKubeconfigs in agent.yaml');
    parseKubeconfig(file);
    kubeconfigs.push({ profile, file });
  }
  if (kubeconfigs.length === 0) return undefined;
  return {
    component: 'admin',
    process: { kind: 'none', name: '', user: 'root', uid: 0, gid: 0, activeState: '' },
    version: '',
    kubeconfigs,
  };
}
