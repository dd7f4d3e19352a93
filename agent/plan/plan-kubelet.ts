/** What a kubelet should look like. */
import { AppError } from '../../common/errors/app-error.ts';
import type { DetectedKubelet, Problem, SourceFile } from '../detect/detected.ts';
import { kubeletDialect } from '../detect/flag-dialects.ts';
import { lastFlag } from '../detect/flags.ts';
import { below } from '../detect/source-file.ts';
import { componentFolder, currentFile } from '../layout.ts';
import { wishDropIn } from './drop-in.ts';
import { editKubeletConfig, servingCertificateOf } from './edit-kubelet-config.ts';
import { guardTrust } from './guard-trust.ts';
import { editKubeconfig } from './kubeconfig.ts';
import type { PlanInput } from './plan-input.ts';
import { type FlagEdit, rewriteCommand } from './rewrite-command.ts';
import { kubeletNames, noNames, servedNames } from './wanted-names.ts';
import { differs, type Wish, type WishedFile, wishEdit } from './wish.ts';

/** Settings whose roots are replaced: flag or key of the configuration, and key of the kubeconfig. */
const replacedTrust = ['client-ca-file', 'certificate-authority'];

/** The wish. */
export function planKubelet(kubelet: DetectedKubelet, input: PlanInput): Wish {
  const { layout, settings, detected } = input;
  const file = (name: string) => currentFile(layout, 'kubelet', name);
  const { config, kubeconfig, unit } = kubelet;
  const problems = nameProblems(kubelet, input);
  const edit = (source: SourceFile, change: (text: string) => string): WishedFile[] => {
    try {
      return [wishEdit(source, change(source.text))];
    } catch (error) {
      problems.push(problemOf(source, error));
      return [];
    }
  };
  const served = {
    servingCertificate: file('serving.crt'),
    servingKey: file('serving.key'),
    clientCa: file('client-ca.crt'),
  };
  const called = {
    clientCertificate: file('client.crt'),
    clientKey: file('client.key'),
    certificateAuthority: file('apiserver-ca.crt'),
  };
  const edits = flagEdits(kubelet, served);
  const place = { path: unit.files[0]?.path ?? '' };
  const files = [
    ...(config === undefined ? [] : edit(config, (text) => editKubeletConfig(text, served))),
    ...edit(kubeconfig, (text) => editKubeconfig(text, called)),
    ...wishDropIn(unit, edits.size > 0 ? { command: rewriteCommand(unit.command, kubeletDialect, edits, place) } : {}),
  ];
  const servedBefore = servedNames(
    detected.certificates,
    below(layout, servingPath(kubelet)),
    componentFolder(layout, 'kubelet'),
  );
  return {
    detected: kubelet,
    slots: [
      { profile: 'kubelet-serving', file: 'serving', ...kubeletNames(kubelet, settings, servedBefore) },
      { profile: 'kubelet-client', file: 'client', ...noNames },
      { profile: 'probe-client', file: 'probe-client', ...noNames },
    ],
    bundles: [
      { authority: 'kubernetes', file: 'client-ca.crt' },
      { authority: 'kubernetes', file: 'apiserver-ca.crt' },
    ],
    files,
    memberUpdate: undefined,
    target: 'enforced',
    summary: files.filter(differs).map(({ path }) => path),
    problems: [...problems, ...guardTrust(kubelet, replacedTrust, input)],
  };
}

/** Flags win over the configuration, so those that are there are replaced; without a configuration all are set. */
function flagEdits(
  { flags, config }: DetectedKubelet,
  files: { servingCertificate: string; servingKey: string; clientCa: string },
): Map<string, FlagEdit> {
  const wanted: [string, string][] = [
    ['tls-cert-file', files.servingCertificate],
    ['tls-private-key-file', files.servingKey],
    ['client-ca-file', files.clientCa],
    ['anonymous-auth', 'false'],
    ['rotate-certificates', 'false'],
  ];
  const edits = new Map<string, FlagEdit>();
  for (const [name, value] of wanted) if (config === undefined || flags.has(name)) edits.set(name, { set: value });
  if (flags.has('rotate-server-certificates')) edits.set('rotate-server-certificates', { set: 'false' });
  if (flags.has('bootstrap-kubeconfig')) edits.set('bootstrap-kubeconfig', 'drop');
  return edits;
}

function servingPath({ effectiveFlags, config }: DetectedKubelet): string {
  const flag = lastFlag(effectiveFlags, 'tls-cert-file');
  if (flag !== undefined || config === undefined) return flag ?? '';
  try {
    return servingCertificateOf(config.text) ?? '';
  } catch {
    return ''; // the same text cannot be edited either, which is a problem already
  }
}

/** The Node authorizer lets a kubelet act only as the Node of its certificate's name. */
function nameProblems({ nodeName }: DetectedKubelet, { settings }: PlanInput): Problem[] {
  if (nodeName === settings.nodeName) return [];
  const message = `the kubelet calls its Node ${nodeName} and this host is enrolled as ${settings.nodeName}: join again with --node-name ${nodeName}`;
  return [{ component: 'kubelet', message }];
}

function problemOf({ path }: SourceFile, error: unknown): Problem {
  const { message } = AppError.from(error);
  const line = /^line (\d+): (.*)$/s.exec(message);
  if (line === null) return { component: 'kubelet', path, message };
  return { component: 'kubelet', path, line: Number(line[1]), message: line[2] ?? message };
}
