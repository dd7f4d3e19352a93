/**
 * The key with which an API server verifies tokens of service accounts when no flag names one. Source: kubernetes,
 * cmd/kube-apiserver/app (Complete), 1.20 to 1.34; kubernetes#54740.
 */
import type { DetectedApiserver, Problem } from '../detect/detected.ts';
import { lastFlag } from '../detect/flags.ts';
import { minorOf } from '../detect/minor-version.ts';
import { servedPath } from '../detect/served-paths.ts';
import { below } from '../detect/source-file.ts';
import type { PlanInput } from './plan-input.ts';
import { servedFile } from './served-certificate.ts';

/** What has to be kept. */
export interface TokenKey {
  /** Path for --service-account-key-file; undefined when nothing has to be said. */
  path: string | undefined;
  problems: Problem[];
}

/** Minor version since which one that signs tokens has no default key to verify them. */
const SIGNS_SINCE = 13;

const flag = 'service-account-key-file';
/** Folders that are empty after the host has started. */
const VOLATILE = /^\/(?:run|var\/run|tmp|dev\/shm)\//;

/**
 * That is the key it serves with: what a flag names, or what it found in --cert-dir. With certificates of ours it would be another
 * one, and existing tokens would end at once. An API server of 1.13 or later that signs tokens itself has no such default.
 */
export function tokenKey(
  apiserver: DetectedApiserver,
  { detected, layout }: Pick<PlanInput, 'detected' | 'layout'>,
): TokenKey {
  const { component, flags, effectiveFlags, version } = apiserver;
  const none: TokenKey = { path: undefined, problems: [] };
  if (flags.has(flag) || flags.has('service-account-signing-endpoint')) return none;
  if ((minorOf(version) ?? 0) >= SIGNS_SINCE && (lastFlag(flags, 'service-account-signing-key-file') ?? '') !== '')
    return none;
  const served = servedPath(apiserver, flags);
  const path =
    served?.setting === 'tls-cert-file' || served === undefined
      ? lastFlag(flags, 'tls-private-key-file')
      : served.keyPath;
  if (path === undefined || path === '') return none;
  // what is found by --cert-dir is used when both files are there; ours is in force afterwards, and says so
  const isFound =
    served?.setting !== 'cert-dir' || servedFile(detected.certificates, below(layout, served.path)) !== 'missing';
  if (!isFound && lastFlag(effectiveFlags, flag) !== path) return none;
  if (served?.setting !== 'cert-dir' || !VOLATILE.test(path)) return { path, problems: [] };
  const message = `tokens of service accounts are verified with ${path}, which is gone when the host starts anew, and which nobody would make again: copy it to a lasting place and name that in --${flag}, and in --service-account-private-key-file of kube-controller-manager`;
  return { path: undefined, problems: [{ component, path, message }] };
}
