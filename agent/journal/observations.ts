/** TLS failures read in logs, counted by cause and other side, so that no caller can make the node say something every second. */
import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { type Component, components } from '../../common/names/names.ts';
import type { TlsObservationSchema } from '../../proto/gen/kubemtls/v1/agent_pb.js';
import { LINE_LENGTH } from './evidence-line.ts';
import type { Finding } from './finding.ts';
import { hostOf } from './host-port.ts';
import type { JournalEntry } from './journal-entry.ts';

/** After so long what was counted is told; milliseconds. */
export const COUNT_MS = 60_000;
/**
 * So many callers of a component are told one by one within COUNT_MS, and so many of its other failures; what goes beyond is counted
 * together, cause by cause. The two are apart, so that no caller crowds out what a component says of its files and servers.
 */
const MOST_ROWS = 10;
/** In the place of the other side, for all those beyond MOST_ROWS. */
const OTHERS = 'others';

/** Failures of one kind, and of one other side, of one component. */
interface Row {
  component: Component;
  finding: Finding;
  remote: string;
  entry: JournalEntry;
  /** Lines that were not told yet. */
  untold: number;
}

/** The counter. One for the life of the daemon; {@link Observations.flush} is called every COUNT_MS. */
export class Observations {
  readonly #tell: (observation: MessageInitShape<typeof TlsObservationSchema>) => void;
  readonly #rows = new Map<string, Row>();

  constructor(tell: (observation: MessageInitShape<typeof TlsObservationSchema>) => void) {
    this.#tell = tell;
  }

  /** Tells of a failure that is new, at once; counts one that was told of, or that goes beyond MOST_ROWS. */
  add(component: Component, finding: Finding, entry: JournalEntry): void {
    // a caller has another port each time
    const remote = finding.side === 'server' ? hostOf(finding.remote) : finding.remote;
    const isKnown = this.#rows.has(keyOf(component, finding, remote));
    const isCounted = !isKnown && this.#isFull(component, finding);
    const row = this.#row(component, finding, isCounted ? OTHERS : remote, entry);
    row.entry = { ...entry, message: entry.message.slice(0, LINE_LENGTH) };
    row.untold++;
    if (!isKnown && !isCounted) this.#tellOf(row);
  }

  /** Tells what was counted since. What went on is counted on; what has ended is told at once when it begins anew. */
  flush(): void {
    for (const [key, row] of this.#rows) {
      if (row.untold === 0) this.#rows.delete(key);
      else this.#tellOf(row);
    }
  }

  #isFull(component: Component, { side }: Finding): boolean {
    const isOfCaller = side === 'server';
    const group = [...this.#rows.values()].filter(
      (row) => row.component === component && (row.finding.side === 'server') === isOfCaller && row.remote !== OTHERS,
    );
    return group.length >= MOST_ROWS;
  }

  #row(component: Component, finding: Finding, remote: string, entry: JournalEntry): Row {
    const key = keyOf(component, finding, remote);
    const row = this.#rows.get(key) ?? { component, finding, remote, entry, untold: 0 };
    this.#rows.set(key, row);
    return row;
  }

  #tellOf(row: Row): void {
    const { component, finding, remote, entry, untold } = row;
    this.#tell({
      component: components.toNumber(component),
      unit: entry.unit,
      cause: finding.cause,
      fault: finding.fault,
      remote,
      line: entry.message,
      loggedAt: timestampFromMs(entry.realtimeMs),
      count: untold,
    });
    row.untold = 0;
  }
}

function keyOf(component: Component, { cause, fault, side }: Finding, remote: string): string {
  return `${component} ${cause} ${fault} ${side} ${remote}`;
}
