/** Who calls. Only authentication makes a Caller; every request takes one. */

/** A caller on the fleet listener, as its client certificate says, checked against the store. */
export type Caller =
  | { kind: 'node'; name: string; serial: string; address: string }
  | { kind: 'admin'; name: string; role: AdminRole; serial: string; address: string };

/** What an administrator may do: viewer reads, operator makes tokens and steers the rollout, admin does all. */
export type AdminRole = 'viewer' | 'operator' | 'admin';

/** The caller as it stands in the audit: "node/w1", "admin/root". */
export function actorOf(caller: Caller): string {
  return `${caller.kind}/${caller.name}`;
}
