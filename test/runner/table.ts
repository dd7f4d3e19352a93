/** What a run prints at its end: the table of its jobs, and why those that failed did. */
import { readFileSync } from 'node:fs';
import type { JobResult } from './run-job.ts';

/** So much is shown of the log of a job of which no failed test tells why. */
const LAST_LINES = 60;
/** So much is shown of why a test failed; the log has all of it. */
const MOST_CHARACTERS = 4000;

/** One line a job, and their sum. */
export function jobTable(results: readonly JobResult[], seconds: number): string {
  const rows = results.map(({ job, seconds: own, passed, failed, skipped, good }) =>
    row(job.name, own, passed, failed.length, skipped.length, good ? 'passed' : 'FAILED'),
  );
  const sum = (count: (result: JobResult) => number) => results.reduce((all, result) => all + count(result), 0);
  const bad = results.filter(({ good }) => !good).length;
  const verdict = bad === 0 ? 'passed' : `${bad} FAILED`;
  const all = row(
    'all',
    seconds,
    sum(({ passed }) => passed),
    sum(({ failed }) => failed.length),
    sum(({ skipped }) => skipped.length),
    verdict,
  );
  return [`${'part'.padEnd(30)} minutes  passed  failed  skipped`, ...rows, all].join('\n');
}

function row(name: string, seconds: number, passed: number, failed: number, skipped: number, verdict: string): string {
  const minutes = (seconds / 60).toFixed(1).padStart(7);
  const counts = [String(passed).padStart(6), String(failed).padStart(6), String(skipped).padStart(7)].join('  ');
  return `${name.padEnd(30)} ${minutes}  ${counts}  ${verdict}`;
}

/** Why a job failed: its failed and skipped tests, or the end of its log where none tells. */
export function failureText({ job, failed, skipped, silent, log }: JobResult): string {
  const tests = [
    ...failed.map(({ name, file, why }) => `FAILED ${name}\n  ${file}\n${indented(why.slice(0, MOST_CHARACTERS))}`),
    ...skipped.map(({ name, file, why }) => `SKIPPED ${name}: ${why}\n  ${file}`),
    ...(failed.length === 0 ? silent.map((file) => `${file} had no test, or ended before them`) : []),
  ];
  const end = readFileSync(log, 'utf8').trimEnd().split('\n').slice(-LAST_LINES).join('\n');
  const why = failed.length + skipped.length > 0 ? tests : [...tests, end];
  return [`== ${job.name} failed; everything that it wrote is in ${log}`, ...why].join('\n');
}

function indented(text: string): string {
  return text.replaceAll(/^/gm, '    ');
}
