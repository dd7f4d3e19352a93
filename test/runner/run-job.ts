/** Runs one job as a process of its own and tells what became of its tests. */
import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { ENDS_WITH_US } from '../lab/machine-lock.ts';
import { LAB } from '../lab/places.ts';
import type { Job } from './plan.ts';
import type { FileRecord, TestRecord } from './record.ts';

const RUNS = join(LAB, 'runs');
const RECORD = join(import.meta.dirname, 'record.ts');
/** One test of those that have no limit of their own. */
const TEST_MS = 10 * 60_000;
/** What needs no lab leaves the processors to what measures time on one. */
const NICE = 10;

/** How a job ended. */
export interface JobResult {
  job: Job;
  seconds: number;
  /** Tests by outcome; none for the check. */
  passed: number;
  failed: readonly TestRecord[];
  skipped: readonly TestRecord[];
  /** Files that had no test, or did not come to their end, as when one calls process.exit(0). */
  silent: readonly string[];
  /** True when its process ended with status 0, every file came to its end, and every test passed. */
  good: boolean;
  /** Everything that it wrote. */
  log: string;
}

/**
 * Runs it until it ends, or until the signal fires; what it wrote is in a log file.
 *
 * @param skipsAreFaults - whether a skipped test makes it fail
 */
export async function runJob(job: Job, skipsAreFaults: boolean, signal: AbortSignal): Promise<JobResult> {
  mkdirSync(RUNS, { recursive: true });
  const file = (ending: string) => join(RUNS, `${job.name.replaceAll('/', '-')}.${ending}`);
  const [log, records] = [file('log'), file('records')];
  await rm(records, { force: true });
  const startedMs = performance.now();
  const code = await start(commandOf(job, records), log, signal);
  const seconds = (performance.now() - startedMs) / 1000;
  const { tests, ended } = await readRecords(records);
  const by = (outcome: TestRecord['outcome']) => tests.filter((test) => test.outcome === outcome);
  const [passed, failed, skipped] = [by('passed').length, by('failed'), by('skipped')];
  const silent = job.files.filter((each) => !ended.has(resolve(each)));
  const good = code === 0 && failed.length === 0 && silent.length === 0 && !(skipsAreFaults && skipped.length > 0);
  return { job, seconds, passed, failed, skipped, silent, good, log };
}

function commandOf(job: Job, records: string): readonly [string, ...string[]] {
  const report = ['--test-reporter=spec', '--test-reporter-destination=stdout'];
  const keep = [`--test-reporter=${RECORD}`, `--test-reporter-destination=${records}`];
  switch (job.kind) {
    case 'check':
      return ['nice', '-n', String(NICE), 'npm', 'run', '-s', 'check'];
    case 'tests': {
      const limits = [`--test-concurrency=${availableParallelism()}`, `--test-timeout=${TEST_MS}`];
      const node = [process.execPath, '--test', ...limits, ...report, ...keep];
      return ['nice', '-n', String(NICE), ...node, ...job.files];
    }
    case 'lab':
      // without --test: no process stands between this one and the hosts, which end with whoever started them
      return [process.execPath, ...report, ...keep, ...job.files];
  }
}

function start(command: readonly [string, ...string[]], log: string, signal: AbortSignal): Promise<number> {
  return new Promise((resolve, reject) => {
    const [program, ...words] = [...ENDS_WITH_US, ...command] as const;
    const output = openSync(log, 'w');
    // a runner that a test of its own starts does not belong to that test
    const { NODE_TEST_CONTEXT: _, ...own } = process.env;
    const env = { ...own, NODE_COMPILE_CACHE: join(LAB, 'compile-cache'), KUBE_MTLS_PACKAGES: 'built' };
    const child = spawn(program, words, { stdio: ['ignore', output, output], env });
    closeSync(output);
    const stop = () => child.kill('SIGTERM');
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    child.once('error', reject);
    child.once('close', (code) => {
      signal.removeEventListener('abort', stop);
      resolve(code ?? 1);
    });
  });
}

/** What became of the tests, and the files that came to their end with at least one. */
async function readRecords(path: string): Promise<{ tests: TestRecord[]; ended: Set<string> }> {
  const lines = (await readFile(path, 'utf8').catch(() => '')).split('\n').filter((line) => line !== '');
  const records = lines.map((line) => JSON.parse(line) as TestRecord | FileRecord); // our own reporter wrote it
  const tests = records.filter((record) => 'outcome' in record);
  const files = records.filter((record) => 'ended' in record);
  return { tests, ended: new Set(files.filter((file) => file.tests > 0).map((file) => file.ended)) };
}
