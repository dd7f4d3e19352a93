/** What the end of a node means for the quorum of its etcd cluster. */
import type { FleetState } from './fleet-state.ts';

/**
 * Tells, before the statuses of a node are forgotten, how many members of its etcd cluster remain and how many have to be up; ''
 * for a node that is not known to run etcd. The member itself stays on etcd's list until somebody takes it off, and counts there.
 */
export function quorumWarning(name: string, fleet: Pick<FleetState, 'get' | 'components'>): string {
  const own = fleet.get(name, 'etcd');
  if (own === undefined) return '';
  const clusterId = own.etcd?.clusterId ?? '';
  const others = fleet
    .components(() => true)
    .filter(({ node, component, status }) => {
      return component === 'etcd' && node !== name && (status.etcd?.clusterId ?? '') === clusterId;
    });
  // the list of etcd also has members without an agent; the shortest is the newest where one was taken off already
  const lists = [own, ...others.map(({ status }) => status)].map(({ etcd }) => etcd?.members.length ?? 0);
  const listed = Math.max(others.length + 1, Math.min(...lists.filter((count) => count > 0)));
  const all = Number.isFinite(listed) ? listed : others.length + 1;
  const left = all - 1;
  if (left === 0) return `${name} ran the only etcd member that is known: its data is gone with it`;
  const needed = quorumOf(all);
  const cluster = `${name} ran one of ${all} etcd members: ${left} ${left === 1 ? 'remains' : 'remain'}`;
  const after = `of ${left} ${left === 1 ? 'member' : 'members'} ${quorumOf(left)} must be up`;
  if (needed > left) return `${cluster}, and ${needed} must be up: etcd has no quorum without the member on ${name}`;
  const slack = needed === left ? 'all of them' : `${needed} of them`;
  return `${cluster}, and ${slack} must be up as long as its member is on the list; once it is taken out, ${after}`;
}

function quorumOf(members: number): number {
  return Math.floor(members / 2) + 1;
}
