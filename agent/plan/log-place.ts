/** Where a component writes its log, when that is not where it is read. */
import type { Detected } from '../detect/detected.ts';
import { lastFlag } from '../detect/flags.ts';
import { lastValue, parseUnitFile } from '../detect/unit-file.ts';
import { effectiveSetting } from './etcd-settings.ts';

/** What systemd writes to the journal; of "inherit" it is StandardOutput= that counts. */
const JOURNAL = /^(?:journal|syslog|kmsg)(?:\+console)?$/;
/** What etcd calls its error output, its output and journald. */
const READ_OUTPUTS = ['default', 'stderr', 'stdout', 'systemd/journal'];

/**
 * The file or output to which the log goes instead of the journal or, for a static pod, the container's output; undefined where it is
 * read. Its journal check is inconclusive then.
 */
export function logElsewhere(detected: Detected): string | undefined {
  const { process } = detected;
  if (process.kind === 'none') return undefined;
  return fileOfFlags(detected) ?? (process.kind === 'unit' ? outputOfUnit(process) : undefined);
}

function outputOfUnit({ files, dropIn }: Extract<Detected['process'], { kind: 'unit' }>): string | undefined {
  const assignments = [...files, ...(dropIn === undefined ? [] : [dropIn])].flatMap(parseUnitFile);
  const own = lastValue(assignments, 'Service', 'StandardError');
  const inherited = lastValue(assignments, 'Service', 'StandardOutput');
  const output = own === '' || own === 'inherit' ? inherited : own;
  return output === '' || output === 'inherit' || JOURNAL.test(output) ? undefined : output;
}

function fileOfFlags(detected: Detected): string | undefined {
  if (detected.component === 'etcd') {
    const outputs = (effectiveSetting(detected, 'log-outputs') ?? '').split(',').filter((each) => each !== '');
    return outputs.some((each) => READ_OUTPUTS.includes(each)) ? undefined : outputs[0];
  }
  if (detected.component === 'admin') return undefined;
  // klog, up to v1.25; it writes no file while --logtostderr is on, which it is by default
  const flag = (name: string) => lastFlag(detected.effectiveFlags, name);
  if (flag('logtostderr') !== 'false' || flag('alsologtostderr') === 'true') return undefined;
  return flag('log-file') || flag('log-dir') || '/tmp';
}
