/** Leases: how Kubernetes shows that somebody is alive. */
import { z } from 'zod';
import { parseJson } from './parse-json.ts';

const lease = z.object({ spec: z.object({ renewTime: z.string().nullish(), holderIdentity: z.string().nullish() }) });

/** A lease. */
export interface Lease {
  /** As it is written, '' when it was never renewed. */
  renewTime: string;
  /** Milliseconds since the epoch, NaN when it was never renewed. */
  renewedAtMs: number;
  /** "cp1_0a1b…", '' when nobody holds it. */
  holder: string;
}

/** The lease in the body of an answer; undefined when it is none. */
export function parseLease(body: string): Lease | undefined {
  const spec = lease.safeParse(parseJson(body)).data?.spec;
  if (spec === undefined) return undefined;
  const renewTime = spec.renewTime ?? '';
  return { renewTime, renewedAtMs: Date.parse(renewTime), holder: spec.holderIdentity ?? '' };
}
