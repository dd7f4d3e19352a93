/**
 * Lines of a container's log file, as kubelet's runtime writes them: the CRI format `TIME stdout|stderr F|P TEXT`, or Docker's
 * json-file `{"log":…,"stream":…,"time":…}`, to which the file in /var/log/pods is a link there.
 * Source: kubernetes v1.36 pkg/kubelet/kuberuntime/logs/logs.go.
 */
import { z } from 'zod';

/** What one line of the file holds. */
export interface PodLogLine {
  /** When the runtime took it, milliseconds since the epoch. */
  timeMs: number;
  stream: 'stdout' | 'stderr';
  text: string;
  /** False when the next line of the same stream goes on with the text: a runtime cuts long ones. */
  whole: boolean;
}

const CRI = /^(\S+) (stdout|stderr) ([FP])(?::\S*)? ?(.*)$/s;
const dockerSchema = z.object({ log: z.string(), stream: z.enum(['stdout', 'stderr']), time: z.string() });

/** The line, or undefined when it has neither form: one that was cut off by the end of the file, or by a rotation. */
export function parsePodLogLine(line: string): PodLogLine | undefined {
  const cri = CRI.exec(line);
  if (cri !== null) {
    const [, time = '', stream, tag, text = ''] = cri;
    return dated(time, { stream: stream === 'stdout' ? 'stdout' : 'stderr', text, whole: tag === 'F' });
  }
  if (!line.startsWith('{')) return undefined;
  let json: unknown;
  try {
    json = JSON.parse(line);
  } catch {
    return undefined;
  }
  const { data } = dockerSchema.safeParse(json);
  if (data === undefined) return undefined;
  const whole = data.log.endsWith('\n');
  return dated(data.time, { stream: data.stream, text: whole ? data.log.slice(0, -1) : data.log, whole });
}

/** Nanoseconds are dropped. */
function dated(time: string, line: Omit<PodLogLine, 'timeMs'>): PodLogLine | undefined {
  const timeMs = Date.parse(time);
  return Number.isNaN(timeMs) ? undefined : { timeMs, ...line };
}
