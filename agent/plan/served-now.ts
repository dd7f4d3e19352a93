/** What a component serves now from a file of somebody else: names by which it is called, and an issuer that is trusted. */
import type { Component } from '../../common/names/names.ts';
import type { Problem } from '../detect/detected.ts';
import type { ServedPath } from '../detect/served-paths.ts';
import { below } from '../detect/source-file.ts';
import { componentFolder } from '../layout.ts';
import type { PlanInput } from './plan-input.ts';
import { type ServedCertificate, servedFile } from './served-certificate.ts';
import { isTrustedHere } from './trusted-here.ts';

/** What is served. */
export interface ServedNow {
  /** Undefined where there is none that anybody relies on. */
  certificate: ServedCertificate | undefined;
  /** Of the file, below the layout's root. */
  path: string;
  /** Why the certificate cannot be read, at most one. */
  problems: Problem[];
}

/** The parts of a plan's input that are looked at. */
export type ServedInput = Pick<PlanInput, 'detected' | 'layout' | 'trust'>;

/**
 * The certificate behind a setting. One of ours counts for nothing: what it holds is the server's to keep or to take back. Neither
 * does one that the program made itself for want of another, unless somebody on this node trusts it.
 *
 * @param served undefined where it serves from no file
 */
export function servedNow(component: Component, served: ServedPath | undefined, input: ServedInput): ServedNow {
  const path = served === undefined ? '' : below(input.layout, served.path);
  const nothing: ServedNow = { certificate: undefined, path, problems: [] };
  if (served === undefined || path.startsWith(`${componentFolder(input.layout, component)}/`)) return nothing;
  const file = servedFile(input.detected.certificates, path);
  if (file === 'missing') return nothing;
  if ('unreadable' in file) {
    const message = `the certificate of --${served.setting} cannot be read (${file.unreadable}), so it cannot be told by which names clients call and whom they trust: write it there anew as PEM, or correct the setting`;
    return { ...nothing, problems: [{ component, path, message }] };
  }
  const { certificate } = file;
  const made = served.setting === 'cert-dir' && isSelfMade(certificate) && !isTrustedHere(certificate, input);
  return made ? nothing : { certificate, path, problems: [] };
}

/** "HOST@TIME", signed by "HOST-ca@TIME" (client-go, util/cert/cert.go) or, before 1.12, by itself. */
function isSelfMade({ commonName, issuer }: ServedCertificate): boolean {
  return /@\d{9,}$/.test(commonName) && /^CN=.*@\d{9,}$/.test(issuer);
}
