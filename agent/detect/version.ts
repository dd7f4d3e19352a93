/** The version of a program, asked from the program itself. */
import { AppError } from '../../common/errors/app-error.ts';
import type { RunCommand } from '../../common/run/command.ts';

/** A kubelet of a busy node answers in well under a second; milliseconds. */
const TIMEOUT_MS = 10_000;
/** etcd answers four lines, the others one; bytes. */
const MOST_BYTES = 64 * 1024;

/** Told of a program that is not asked since others than root could have put it there, with what is in the way. */
export type OnNotAsked = (program: string, why: string) => void;

/** For a person: what follows, and what to do. */
export function explainNotAsked(why: string): string {
  return `${why}: as root it is not run, and a component whose version is not known is restarted; give the program and every folder above it to root alone`;
}

/**
 * Tells of each program once, and again when something else is in the way.
 *
 * @param tell - given the program and the explanation
 */
export function notAskedOnce(tell: OnNotAsked): OnNotAsked {
  const told = new Map<string, string>();
  return (program, why) => {
    if (told.get(program) === why) return;
    told.set(program, why);
    tell(program, explainNotAsked(why));
  };
}

/**
 * "1.20.2" out of "Kubernetes v1.20.2", "3.4.23" out of "etcd Version: 3.4.23"; empty when the program fails, does
 * not answer within 10 seconds, or says something else, and when it is not asked: it would run as root, whoever its unit runs
 * it as.
 *
 * @throws the signal's reason when it fires
 */
export async function programVersion(
  run: RunCommand,
  program: string,
  signal: AbortSignal,
  onNotAsked: OnNotAsked = () => {},
): Promise<string> {
  try {
    const options = { timeoutMs: TIMEOUT_MS, mostBytes: MOST_BYTES, distrusted: true, signal };
    const { code, stdout } = await run([program, '--version'], options);
    if (code !== 0) return '';
    return /^(?:Kubernetes v|etcd Version: )(\d{1,9}\.\d{1,9}\.\d{1,9}[^\s]{0,64})/m.exec(stdout)?.[1] ?? '';
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof AppError && error.reason === 'policy-refused') onNotAsked(program, error.message);
    return ''; // a component whose version is not known is still a component
  }
}
