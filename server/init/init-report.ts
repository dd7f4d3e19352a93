/** What `kube-mtls-server init` prints. */
import type { ClusterAuthority } from '../authority/import-authority.ts';
import type { InitResult } from './init-result.ts';

const yearMs = 365 * 86_400_000;

/** Who may still need the key of an imported CA in the adopted folder. */
const keyUsers: Readonly<Record<ClusterAuthority, string>> = {
  kubernetes: 'kube-controller-manager may (--cluster-signing-key-file)',
  etcd: 'kubeadm does, to renew and to join',
  'front-proxy': 'kubeadm does, to renew and to join',
};

/** The text, several lines, ending in a line feed. */
export function initReport(result: InitResult): string {
  const { already, cluster } = result;
  const sections = [
    already
      ? [`kube-mtls-server was initialised for the cluster ${cluster} before; nothing of it was overwritten.`]
      : [`kube-mtls-server is initialised for the cluster ${cluster}.`],
    [`CA pin of the fleet:  ${result.pin}`],
    ['Certificate authorities:', ...authorityLines(result)],
    ['Files:', ...fileLines(result)],
    warnings(result),
    ['Next:', ...nextLines(result)],
  ];
  return `${sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n')}\n`;
}

function authorityLines({ authorities }: InitResult): string[] {
  return authorities.map(({ authority, subject, notAfter, imported }) => {
    const origin = imported ? 'imported' : 'made';
    return `  ${authority.padEnd(12)} ${origin.padEnd(9)} until ${day(notAfter)}  ${subject}`;
  });
}

function fileLines(result: InitResult): string[] {
  return [
    `  configuration        ${result.configFile}`,
    `  passphrase           ${result.passphraseFile}  (without it and ${result.stateFolder} no CA key can be used: back up both)`,
    `  administrator        ${result.adminFolder}/{ca.crt,admin.crt,admin.key}`,
  ];
}

function warnings({ authorities, looseKeys, notes, nowMs }: InitResult): string[] {
  const found = [...notes];
  for (const { authority, path } of looseKeys) {
    found.push(
      `the key of the ${authority} CA lies unencrypted in ${path} still; remove it there unless somebody needs it: ${keyUsers[authority]}`,
    );
  }
  for (const { authority, notAfter } of authorities) {
    if (notAfter.getTime() >= nowMs + yearMs) continue;
    found.push(`the ${authority} CA ends ${day(notAfter)}: no certificate of it lives longer, plan its replacement`);
  }
  return found.length === 0 ? [] : ['Please note:', ...found.map((note) => `  - ${note}`)];
}

function nextLines({ bootstrapEndpoint, advertiseWhy, configFile, moving }: InitResult): string[] {
  const why = advertiseWhy === undefined ? '' : `, ${advertiseWhy}`;
  return [
    `  Nodes will be told to join at ${bootstrapEndpoint}${why}.`,
    `  If they cannot reach it, change "advertise" in ${configFile} first.`,
    '',
    '    systemctl enable --now kube-mtls-server',
    '    kube-mtls token create --role control-plane --node NAME --print-join',
    '',
    '  Then run the printed line on that node; the roles are control-plane, worker and etcd.',
    ...(moving.length === 0 ? [] : movingLines(moving)),
  ];
}

function movingLines(moving: InitResult['moving']): string[] {
  return [
    '',
    `  The cluster moves from its own CAs to those of this server (${moving.join(', ')}), and trusts both meanwhile.`,
    '  Join all its nodes, wait until the phase is complete, and go on; three phases in all:',
    '',
    '    kube-mtls authority status',
    '    kube-mtls authority advance',
  ];
}

function day(date: Date): string {
  return date.toISOString().slice(0, 10);
}
