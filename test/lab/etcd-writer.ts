/** A writer to an etcd cluster that goes on while the cluster is changed; see write-etcd.ts. */
import { Beside } from './beside.ts';
import type { Host } from './host.ts';
import type { WriterReport } from './write-etcd.ts';

/** Starts it in the network of the first host. */
export function startWriter(members: readonly [Host, ...Host[]]): Beside<WriterReport> {
  const words = members.map(({ name, ip, root }) => `${name}=${ip}:2379=${root}`);
  return Beside.start(members[0], 'write-etcd.ts', words);
}

/** The counts in two lines. */
export function writerTable(report: WriterReport): string {
  const { tried, acknowledged, overTls, failed, lost, longestGapMs, longestWithoutLeaderMs } = report;
  return `writes: tried ${tried}, acknowledged ${acknowledged} (${overTls} over mutual TLS), not acknowledged ${failed}, lost of the acknowledged ${lost}
longest time between two acknowledged writes ${longestGapMs} ms, without a leader ${longestWithoutLeaderMs} ms`;
}
