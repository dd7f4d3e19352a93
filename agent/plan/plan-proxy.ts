/** What a kube-proxy should look like. It serves nothing over TLS. */
import type { DetectedProxy } from '../detect/detected.ts';
import { proxyDialect } from '../detect/flag-dialects.ts';
import { currentFile } from '../layout.ts';
import { editCommand } from './command-edits.ts';
import { editFiles } from './edit-file.ts';
import { guardTrust } from './guard-trust.ts';
import { issuable } from './issuable.ts';
import { editKubeconfig } from './kubeconfig.ts';
import type { PlanInput } from './plan-input.ts';
import { issuesLeaves } from './rotation.ts';
import { reloadsOf } from './take-up.ts';
import { noNames } from './wanted-names.ts';
import { differs, type Wish } from './wish.ts';

/** The wish: only the kubeconfig changes. */
export function planProxy(proxy: DetectedProxy, input: PlanInput): Wish {
  const file = (name: string) => currentFile(input.layout, 'kube-proxy', name);
  const leaves = issuesLeaves(input, 'kubernetes');
  const kubeconfig = editFiles('kube-proxy', [proxy.kubeconfig], (text) =>
    editKubeconfig(text, {
      certificateAuthority: file('apiserver-ca.crt'),
      client: leaves ? { certificate: file('client.crt'), key: file('client.key') } : undefined,
    }),
  );
  const command = editCommand(proxy, proxyDialect, new Map(), input);
  const { slots, problems } = issuable(proxy, [{ profile: 'kube-proxy-client', file: 'client', ...noNames }], input);
  const files = [...kubeconfig.made, ...command.files];
  return {
    detected: proxy,
    slots,
    bundles: [{ authority: 'kubernetes', file: 'apiserver-ca.crt' }],
    files,
    memberUpdate: undefined,
    target: leaves ? 'enforced' : 'trusting',
    reloads: reloadsOf('kube-proxy', proxy.version),
    restartMark: command.restartMark,
    summary: files.filter(differs).map(({ path }) => path),
    problems: [
      ...problems,
      ...kubeconfig.problems,
      ...command.problems,
      ...guardTrust(proxy, ['certificate-authority'], input),
    ],
  };
}
