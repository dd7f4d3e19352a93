/** What a component has to show after a change, for the checks to compare with. */
import { AppError } from '../../common/errors/app-error.ts';
import type { Authority } from '../../common/names/names.ts';
import type { Detected } from '../detect/detected.ts';
import type { Target } from '../plan/change.ts';

/** What a component has to show. */
export interface Expectation<D extends Detected = Detected> {
  /** As the plan took it: hosts and ports are the same before and after, the scheme of etcd's URLs follows from target. */
  detected: D;
  /** Folder in which the component reads its certificates, by way of the link: ".../etcd/current". */
  folder: string;
  /** Serial numbers, lower-case hexadecimal without leading zeros, by slot file: "server", "serving", "client". */
  serials: ReadonlyMap<string, string>;
  /** What it speaks now. Only etcd is ever 'prepared'. */
  target: Target;
  /** True when the process that runs takes the files up by itself: then what it serves may lag behind the files for a while. */
  live: boolean;
  /** Roots in force, PEM, by authority. Served certificates must chain to them. */
  rootsPem: ReadonlyMap<Authority, string>;
}

/**
 * The serial of a slot file.
 *
 * @throws AppError invalid-request when the expectation does not name it
 */
export function serialOf(expectation: Expectation, file: string): string {
  const serial = expectation.serials.get(file);
  if (serial === undefined) {
    throw new AppError('invalid-request', `no serial is known for ${file}.crt, so it cannot be compared with`);
  }
  return serial;
}

/** What new connections have to show. */
export interface WantedServing {
  serial: string;
  /** True when a process that shows another one has not taken the new files up yet. */
  live: boolean;
}

/**
 * What new connections have to show by a slot file; undefined where a component that is only made to trust keeps a
 * certificate that is not ours.
 *
 * @throws AppError invalid-request when the expectation does not name a serial that it needs
 */
export function wantedServing(expectation: Expectation, file: string): WantedServing | undefined {
  if (expectation.target === 'trusting' && !expectation.serials.has(file)) return undefined;
  return { serial: serialOf(expectation, file), live: expectation.live };
}

/**
 * The roots of an authority, PEM.
 *
 * @throws AppError invalid-request when there are none, so that nothing is ever verified against an empty bundle
 */
export function rootsOf(expectation: Expectation, authority: Authority): string {
  const pem = expectation.rootsPem.get(authority) ?? '';
  if (!pem.includes('BEGIN CERTIFICATE')) {
    throw new AppError('invalid-request', `no roots of the ${authority} CA are known, so nothing can be verified`);
  }
  return pem;
}
