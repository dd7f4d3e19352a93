/** What a kubelet should look like. */
import type { DetectedKubelet, Problem } from '../detect/detected.ts';
import { kubeletDialect } from '../detect/flag-dialects.ts';
import { kubeletServedPath } from '../detect/served-paths.ts';
import { currentFile } from '../layout.ts';
import { editCommand } from './command-edits.ts';
import { type Edited, editFiles } from './edit-file.ts';
import { editKubeletConfig, type KubeletFiles, renderKubeletDropIn } from './edit-kubelet-config.ts';
import { guardTrust } from './guard-trust.ts';
import { issuable } from './issuable.ts';
import { editKubeconfig } from './kubeconfig.ts';
import type { PlanInput } from './plan-input.ts';
import type { FlagEdit } from './rewrite-command.ts';
import { issuesLeaves } from './rotation.ts';
import { type ServedNow, servedNow } from './served-now.ts';
import { reloadsOf } from './take-up.ts';
import { kubeletNames, noNames, servedNames } from './wanted-names.ts';
import { differs, type Wish, type WishedFile, type WishedSlot, wishFile } from './wish.ts';

/** Settings whose roots are replaced: flag or key of the configuration, and key of the kubeconfig. */
const replacedTrust = ['client-ca-file', 'certificate-authority'];

/** The wish. While no leaf is issued, kubelet goes on with its own and with its own rotation of them. */
export function planKubelet(kubelet: DetectedKubelet, input: PlanInput): Wish {
  const file = (name: string) => currentFile(input.layout, 'kubelet', name);
  const leaves = issuesLeaves(input, 'kubernetes');
  const served: KubeletFiles = {
    clientCa: file('client-ca.crt'),
    ...(leaves ? { servingCertificate: file('serving.crt'), servingKey: file('serving.key') } : {}),
  };
  const now = servedNow('kubelet', kubeletServedPath(kubelet), input);
  const config = configFiles(kubelet, served);
  const kubeconfig = editFiles('kubelet', [kubelet.kubeconfig], (text) =>
    editKubeconfig(text, {
      certificateAuthority: file('apiserver-ca.crt'),
      client: leaves ? { certificate: file('client.crt'), key: file('client.key') } : undefined,
    }),
  );
  const command = editCommand(kubelet, kubeletDialect, flagEdits(kubelet, served), input);
  const { slots, problems } = issuable(kubelet, slotsOf(kubelet, now, input), input);
  const files = [...config.made, ...kubeconfig.made, ...command.files];
  return {
    detected: kubelet,
    slots,
    bundles: [
      { authority: 'kubernetes', file: 'client-ca.crt' },
      { authority: 'kubernetes', file: 'apiserver-ca.crt' },
    ],
    files,
    memberUpdate: undefined,
    target: leaves ? 'enforced' : 'trusting',
    reloads: reloadsOf('kubelet', kubelet.version),
    restartMark: command.restartMark,
    summary: files.filter(differs).map(({ path }) => path),
    problems: [
      ...nameProblems(kubelet, input),
      ...problems,
      ...config.problems,
      ...kubeconfig.problems,
      ...command.problems,
      ...(leaves ? now.problems : []),
      ...guardTrust(kubelet, replacedTrust, input),
    ],
  };
}

/** A folder of configurations gets a file of ours; else the only configuration is edited. */
function configFiles(
  { config, configDropIn, configDropInPath }: DetectedKubelet,
  served: KubeletFiles,
): Edited<WishedFile[]> {
  if (configDropInPath !== undefined) {
    return { made: [wishFile(configDropInPath, configDropIn, renderKubeletDropIn(served))], problems: [] };
  }
  return editFiles('kubelet', config === undefined ? [] : [config], (text) => editKubeletConfig(text, served));
}

/** Flags win over the configuration, so those that are there are replaced; without a configuration all are set. */
function flagEdits(kubelet: DetectedKubelet, served: KubeletFiles): Map<string, FlagEdit> {
  const { flags, config, configDropInPath } = kubelet;
  const { clientCa, servingCertificate, servingKey } = served;
  const byFlags = config === undefined && configDropInPath === undefined;
  const edits = new Map<string, FlagEdit>();
  const set = (name: string, value: string) => {
    if (byFlags || flags.has(name)) edits.set(name, { set: value });
  };
  set('client-ca-file', clientCa);
  if (servingCertificate === undefined || servingKey === undefined) return edits;
  set('tls-cert-file', servingCertificate);
  set('tls-private-key-file', servingKey);
  set('anonymous-auth', 'false');
  set('rotate-certificates', 'false');
  if (flags.has('rotate-server-certificates')) edits.set('rotate-server-certificates', { set: 'false' });
  if (flags.has('bootstrap-kubeconfig')) edits.set('bootstrap-kubeconfig', 'drop');
  return edits;
}

function slotsOf(kubelet: DetectedKubelet, served: ServedNow, { settings }: PlanInput): WishedSlot[] {
  return [
    { profile: 'kubelet-serving', file: 'serving', ...kubeletNames(kubelet, settings, servedNames(served)) },
    { profile: 'kubelet-client', file: 'client', ...noNames },
    { profile: 'probe-client', file: 'probe-client', ...noNames },
  ];
}

/** The Node authorizer lets a kubelet act only as the Node of its certificate's name. */
function nameProblems({ nodeName }: DetectedKubelet, { settings }: PlanInput): Problem[] {
  if (nodeName === settings.nodeName) return [];
  const message = `the kubelet calls its Node ${nodeName} and this host is enrolled as ${settings.nodeName}: join again with --node-name ${nodeName}`;
  return [{ component: 'kubelet', message }];
}
