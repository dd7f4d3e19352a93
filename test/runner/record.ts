/** A reporter for node:test that records what became of each test, one JSON object a line, for the table and the verdict of a run. */
import type { TestEvent } from 'node:test/reporters';

/** A file whose process came to its end, with so many tests. */
export interface FileRecord {
  /** Path, absolute; empty for the sum of all files. */
  ended: string;
  tests: number;
}

/** What became of one test. */
export interface TestRecord {
  name: string;
  /** Path, absolute; empty when node does not tell. */
  file: string;
  outcome: 'passed' | 'failed' | 'skipped';
  seconds: number;
  /** Why it failed or was skipped; else empty. */
  why: string;
}

/** Nothing of suites is recorded unless they fail themselves, as when their preparation does. */
export default async function* record(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const event of source) {
    if (event.type === 'test:summary') {
      const { file = '', counts } = event.data;
      yield line({ ended: file, tests: counts.tests });
    } else if (event.type === 'test:fail') {
      const { name, file = '', details } = event.data;
      const { message, cause = message } = details.error;
      // a suite fails with its tests, which are recorded
      if (details.type === 'suite' && /subtests? failed/.test(message)) continue;
      const why = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
      yield line({ name, file, outcome: 'failed', seconds: details.duration_ms / 1000, why });
    } else if (event.type === 'test:pass' && event.data.details.type !== 'suite') {
      const { name, file = '', details, skip = false } = event.data;
      // node counts a file in which no test ended as a test that passed
      if (file.endsWith(name)) continue;
      const [outcome, why] = skip === false ? (['passed', ''] as const) : (['skipped', String(skip)] as const);
      yield line({ name, file, outcome, seconds: details.duration_ms / 1000, why });
    }
  }
}

function line(record: TestRecord | FileRecord): string {
  return `${JSON.stringify(record)}\n`;
}
