/** What the kubeconfigs of administrators should look like. People copy them, so everything stays in the file itself. */
import { AppError } from '../../common/errors/app-error.ts';
import { keyMatches, parseCertificate, parseCertificates } from '../../common/x509/certificate.ts';
import { loadKey } from '../../common/x509/keys.ts';
import type { DetectedAdmin, SourceFile } from '../detect/detected.ts';
import type { BundleFile } from './change.ts';
import { folderDue, sameRoots } from './complete-change.ts';
import { attempt } from './edit-file.ts';
import { guardTrust, rootsOf } from './guard-trust.ts';
import { issuable } from './issuable.ts';
import { editEmbeddedKubeconfig, embeddedParts, type KubeconfigParts } from './kubeconfig.ts';
import { embedded } from './placeholders.ts';
import type { PlanInput } from './plan-input.ts';
import { issuesLeaves } from './rotation.ts';
import { reloadsOf } from './take-up.ts';
import { noNames } from './wanted-names.ts';
import { differs, type Wish, type WishedFile } from './wish.ts';

/** A kubeconfig with the name of its certificate in the component's folder. */
interface Kubeconfig {
  name: 'admin' | 'super-admin';
  file: SourceFile;
}

const bundles: BundleFile[] = [{ authority: 'kubernetes', file: 'apiserver-ca.crt' }];
const names = { 'admin-client': 'admin', 'super-admin-client': 'super-admin' } as const;
/** Permission of everybody to read. */
const worldReadable = 0o004;

/**
 * The wish. The folder is made new as a whole, so the kubeconfigs change together: all of them when anything is due in any, and
 * none otherwise.
 */
export function planAdmin(admin: DetectedAdmin, input: PlanInput): Wish {
  const leaves = issuesLeaves(input, 'kubernetes');
  const { slots, problems } = issuable(
    admin,
    // files of one user have one certificate: the server issues a profile once in a change
    [...new Set(admin.kubeconfigs.map(({ profile }) => profile))].map((profile) => ({
      profile,
      file: names[profile],
      ...noNames,
    })),
    input,
  );
  const kubeconfigs = admin.kubeconfigs.map(({ profile, file }): Kubeconfig => ({ name: names[profile], file }));
  const due = folderDue({ detected: admin, slots, bundles }, input);
  const isGood =
    due.bundles.length === 0 &&
    due.slots.every(({ reason }) => reason === undefined) &&
    kubeconfigs.every((kubeconfig) => holdsInstalled(kubeconfig, leaves, input));
  const edited = kubeconfigs.map((kubeconfig) =>
    attempt<WishedFile[]>('admin', kubeconfig.file.path, [], () => {
      if (leaves && isElsewhere(kubeconfig, input)) {
        const why = 'our certificate in it is the one of another user than the one of its current-context';
        throw new AppError('invalid-request', `${why}: set that back (kubectl config use-context)`);
      }
      return [wishKubeconfig(kubeconfig, leaves, isGood)];
    }),
  );
  const files = edited.flatMap(({ made }) => made);
  return {
    detected: admin,
    slots,
    bundles,
    files,
    memberUpdate: undefined,
    target: leaves ? 'enforced' : 'trusting',
    reloads: reloadsOf('admin', admin.version),
    restartMark: undefined,
    summary: files.filter(differs).map(summaryOf),
    problems: [
      ...problems,
      ...edited.flatMap((each) => each.problems),
      ...guardTrust(admin, ['certificate-authority'], input),
    ],
  };
}

function wishKubeconfig({ name, file }: Kubeconfig, leaves: boolean, isGood: boolean): WishedFile {
  const parts: KubeconfigParts = {
    certificateAuthority: embedded('apiserver-ca.crt'),
    client: leaves ? { certificate: embedded(`${name}.crt`), key: embedded(`${name}.key`) } : undefined,
  };
  // made in any case, since it refuses what it cannot edit
  const text = editEmbeddedKubeconfig(file.text, parts);
  const after = { ...file, text: isGood ? file.text : text, mode: modeOf(file) };
  return { path: file.path, before: file, after, restarts: false };
}

/** True when the kubeconfig has embedded what is in the component's folder, and only those see it who shall. */
function holdsInstalled({ name, file }: Kubeconfig, leaves: boolean, input: PlanInput): boolean {
  const installedPem = installedPemOf(name, input);
  try {
    const { certificateAuthority = '', certificate = '', key = '' } = embeddedParts(file.text);
    if (modeOf(file) !== file.mode) return false;
    if (!sameRoots(parseCertificates(certificateAuthority), rootsOf(input.bundles, 'kubernetes'))) return false;
    if (!leaves) return true;
    const own = parseCertificate(certificate);
    return own.sha256 === parseCertificate(installedPem).sha256 && keyMatches(loadKey(key), own);
  } catch {
    return false; // embedded anew, or refused with its reason where the file cannot be edited
  }
}

/** True after somebody made another user current: with a certificate of ours that one would become an administrator. */
function isElsewhere({ name, file }: Kubeconfig, input: PlanInput): boolean {
  const installedPem = installedPemOf(name, input);
  const data = Buffer.from(installedPem).toString('base64');
  return data !== '' && file.text.includes(data) && embeddedParts(file.text).certificate !== installedPem;
}

/** The certificate in the component's folder, or ''. */
function installedPemOf(name: Kubeconfig['name'], { current }: PlanInput): string {
  const folder = current.find(({ component }) => component === 'admin');
  return folder?.certificates.find((each) => each.file === name)?.pem ?? '';
}

/** A key that everybody could read is put out of sight; any other mode is the operator's choice. */
function modeOf({ mode }: SourceFile): number {
  return (mode & worldReadable) === 0 ? mode : 0o600;
}

function summaryOf({ path, before, after }: WishedFile): string {
  if (before === undefined || before.mode === after.mode) return path;
  return `${path}, mode ${before.mode.toString(8)} -> ${after.mode.toString(8)} since everybody could read its key`;
}
