/** The version of a program, asked from the program itself. */
import type { RunCommand } from '../../common/run/command.ts';

/** A kubelet of a busy node answers in well under a second; milliseconds. */
const TIMEOUT_MS = 10_000;

/**
 * "1.20.2" out of "Kubernetes v1.20.2", "3.4.23" out of "etcd Version: 3.4.23"; empty when the program fails, does
 * not answer within 10 seconds, or says something else.
 *
 * @throws the signal's reason when it fires
 */
export async function programVersion(run: RunCommand, program: string, signal: AbortSignal): Promise<string> {
  try {
    const { code, stdout } = await run([program, '--version'], { timeoutMs: TIMEOUT_MS, signal });
    if (code !== 0) return '';
    return /^(?:Kubernetes v|etcd Version: )(\d+\.\d+\.\d+[^\s]*)/m.exec(stdout)?.[1] ?? '';
  } catch {
    signal.throwIfAborted();
    return ''; // a component whose version is not known is still a component
  }
}
