/** What a controller manager or a scheduler should look like. */
import type { DetectedManager, Problem } from '../detect/detected.ts';
import { apiserverDialect } from '../detect/flag-dialects.ts';
import { lastFlag } from '../detect/flags.ts';
import { servedPath } from '../detect/served-paths.ts';
import { currentFile } from '../layout.ts';
import type { BundleFile } from './change.ts';
import { changedFlags, editCommand } from './command-edits.ts';
import { editFiles } from './edit-file.ts';
import { allowFrontProxy } from './front-proxy-names.ts';
import { guardRights } from './guard-rights.ts';
import { guardTrust } from './guard-trust.ts';
import { issuable } from './issuable.ts';
import { editKubeconfig } from './kubeconfig.ts';
import type { PlanInput } from './plan-input.ts';
import type { FlagEdit } from './rewrite-command.ts';
import { issuesLeaves } from './rotation.ts';
import { servedNow } from './served-now.ts';
import { type SniPairs, sniFlag, sniPairs } from './sni-pairs.ts';
import { reloadsOf } from './take-up.ts';
import { joinNames, managerNames, namesOf, noNames, servedNames } from './wanted-names.ts';
import { differs, type Wish, type WishedSlot } from './wish.ts';

/** The wish. */
export function planManager(manager: DetectedManager, input: PlanInput): Wish {
  const { component, version, effectiveFlags } = manager;
  const file = (name: string) => currentFile(input.layout, component, name);
  const leaves = issuesLeaves(input, 'kubernetes');
  const sni: SniPairs = serves(manager)
    ? sniPairs(manager, input)
    : { edit: undefined, leftOut: [], replaced: [], notes: [], problems: [] };
  const edits = flagEdits(manager, leaves, file);
  if (sni.edit !== undefined) edits.set(sniFlag, sni.edit);
  const changed = changedFlags(effectiveFlags, edits);
  const command = editCommand(
    manager,
    apiserverDialect,
    edits,
    input,
    sni.leftOut.map((value) => ({ flag: sniFlag, value })),
  );
  const kubeconfigs = editFiles(component, manager.kubeconfigs, (text) =>
    editKubeconfig(text, {
      certificateAuthority: file('apiserver-ca.crt'),
      client: leaves ? { certificate: file('client.crt'), key: file('client.key') } : undefined,
    }),
  );
  const { slots, problems } = issuable(manager, slotsOf(manager, sni, input), input);
  return {
    detected: manager,
    slots,
    bundles: bundlesOf(manager, edits),
    files: [...kubeconfigs.made, ...command.files],
    memberUpdate: undefined,
    target: leaves ? 'enforced' : 'trusting',
    reloads: reloadsOf(component, version),
    restartMark: command.restartMark,
    summary: [...changed.map((name) => `--${name}`), ...kubeconfigs.made.filter(differs).map(({ path }) => path)],
    notes: sni.notes,
    problems: [
      ...problems,
      ...sni.problems,
      ...lostNames(manager, sni, input),
      ...kubeconfigs.problems,
      ...command.problems,
      ...guardTrust(manager, [...edits.keys(), 'certificate-authority'], input),
      ...guardRights(manager, input),
    ],
  };
}

/** False when its serving port is switched off: then it has no callers, and the flags about them mean nothing. */
function serves({ flags }: DetectedManager): boolean {
  return lastFlag(flags, 'secure-port') !== '0';
}

function flagEdits(manager: DetectedManager, leaves: boolean, file: (name: string) => string): Map<string, FlagEdit> {
  const { component, flags } = manager;
  const edits = new Map<string, FlagEdit>();
  const set = (name: string, value: string) => edits.set(name, { set: value });
  if (component === 'kube-controller-manager') set('root-ca-file', file('root-ca.crt'));
  if (!serves(manager)) return edits;
  if (leaves) {
    set('tls-cert-file', file('serving.crt'));
    set('tls-private-key-file', file('serving.key'));
  }
  set('client-ca-file', file('client-ca.crt'));
  // without the flag it reads the front proxy's roots from the cluster, where API servers put them
  if (flags.has('requestheader-client-ca-file')) {
    set('requestheader-client-ca-file', file('front-proxy-ca.crt'));
    allowFrontProxy(flags, edits);
  }
  return edits;
}

function slotsOf(manager: DetectedManager, sni: SniPairs, input: PlanInput): WishedSlot[] {
  const { component } = manager;
  const client: WishedSlot = { profile: `${component}-client`, file: 'client', ...noNames };
  if (!serves(manager)) return [client];
  const served = servedNow(component, servedPath(manager, manager.effectiveFlags), input);
  const names = joinNames([servedNames(served), ...sni.replaced.map(namesOf)]);
  return [
    { profile: `${component}-serving`, file: 'serving', ...managerNames(input.settings, names) },
    client,
    { profile: 'probe-client', file: 'probe-client', ...noNames },
  ];
}

/** A manager is called by its node's names alone: what its own names are not goes only with whoever gave it that name. */
function lostNames({ component }: DetectedManager, { replaced }: SniPairs, { settings }: PlanInput): Problem[] {
  const { notHeld = [] } = managerNames(settings, joinNames(replaced.map(namesOf)));
  if (notHeld.length === 0) return [];
  const message = `--${sniFlag} serves ${notHeld.join(', ')} by a certificate of the CA that is being replaced, and certificates of ours hold the names of the node alone: write one of the new CA there, or take the value out`;
  return [{ component, message }];
}

function bundlesOf(manager: DetectedManager, edits: ReadonlyMap<string, FlagEdit>): BundleFile[] {
  return [
    ...(edits.has('client-ca-file') ? [{ authority: 'kubernetes' as const, file: 'client-ca.crt' }] : []),
    ...(edits.has('root-ca-file') ? [{ authority: 'kubernetes' as const, file: 'root-ca.crt' }] : []),
    ...(manager.kubeconfigs.length > 0 ? [{ authority: 'kubernetes' as const, file: 'apiserver-ca.crt' }] : []),
    ...(edits.has('requestheader-client-ca-file')
      ? [{ authority: 'front-proxy' as const, file: 'front-proxy-ca.crt' }]
      : []),
  ];
}
