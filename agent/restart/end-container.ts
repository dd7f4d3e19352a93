/** Ends a container of a static pod, which makes kubelet start it again. */
import { type PodRef, shortId } from '../process/pod-containers.ts';
import type { ProcessState } from '../process/show-process.ts';
import type { TransactionDeps } from '../stage/transaction.ts';

/**
 * Sends the signal to the container's first process; one that has just ended by itself is no error.
 *
 * @param reason - for the log
 */
export async function endContainer(
  { run, log }: Pick<TransactionDeps, 'run' | 'log'>,
  { pod, container }: PodRef,
  { invocationId, mainPid }: ProcessState,
  signal: 'TERM' | 'KILL',
  reason: string,
): Promise<void> {
  log.info('ending a container', { component: container, unit: pod, detail: `${shortId(invocationId)}: ${reason}` });
  // the shell's own kill: not every node has the program
  await run(['sh', '-c', `kill -${signal} "$0"`, String(mainPid)]);
}
