/** `npm test` and `npm run test:full`: the tests side by side, a table, and why what failed did. */
import { availableParallelism, constants } from 'node:os';
import { parseArgs } from 'node:util';
import { installPackages } from './lab/debian-packages.ts';
import { buildPackages } from './lab/fleet.ts';
import { waitForNoLab } from './lab/lab-place.ts';
import { type Job, planRun } from './runner/plan.ts';
import { type JobResult, runJob } from './runner/run-job.ts';
import { runJobs } from './runner/run-jobs.ts';
import { failureText, jobTable } from './runner/table.ts';

const HELP = `npm test [-- NAME …]            (hosts and cluster need root, on Debian 12 or 13)
npm run test:full [-- NAME …]

Without a name npm test runs what proves the product in a quarter of an hour, and test:full everything. Names:
  check         types, lint with folder boundaries, protos, generated code
  unit          *.test.ts beside the code
  integration   the server on localhost, over real mutual TLS
  etcd          verification of real etcds on localhost
  lintian       Debian's judge of packages
  hosts         real systemd hosts in containers: packages, join, a journal, three etcd members
  cluster       real Kubernetes clusters (the first time it is built from Debian's source: six minutes more)
  hosts/join    one file of these two

  --processors N  so many are kept busy (default: all of this machine)
`;

/** Debian packages that the tests call by name; test hosts install what they need themselves. */
const TOOLS = ['openssl', 'lintian', 'binutils', 'xz-utils', 'git', 'patch', 'util-linux'];
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { help: { type: 'boolean', short: 'h' }, full: { type: 'boolean' }, processors: { type: 'string' } },
});
/** Fires when the run is interrupted: what runs then takes its hosts away, and nothing else begins. */
const interrupt = new AbortController();
const isRoot = process.geteuid?.() === 0;
const startedMs = performance.now();

if (values.help === true) {
  console.log(HELP);
} else {
  try {
    const room = Number(values.processors ?? availableParallelism());
    if (!(room > 0)) throw new Error('--processors is not a number above 0');
    await run(planRun(positionals, values.full === true), room);
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n\n${HELP}`);
    process.exitCode = 2;
  }
}

async function run(jobs: readonly Job[], room: number): Promise<void> {
  let interruptedBy: NodeJS.Signals | undefined;
  for (const signal of SIGNALS) {
    process.on(signal, () => {
      interruptedBy ??= signal;
      interrupt.abort();
    });
  }
  if (isRoot) await installPackages(TOOLS, say);
  const packages = jobs.some((job) => job.needsPackages) ? buildPackages(say) : Promise.resolve();
  const ended = await runJobs(
    jobs,
    room,
    (job) => runAndTell(job, packages),
    () => interrupt.signal.aborted,
  );
  const results = ended.filter((result) => result !== undefined);
  if (interruptedBy !== undefined) {
    console.error(`interrupted by ${interruptedBy}; waiting until test hosts are gone`);
    await waitForNoLab(60_000);
    process.exitCode = 128 + constants.signals[interruptedBy];
    return;
  }
  const bad = results.filter(({ good }) => !good);
  console.log(`\n${jobTable(results, (performance.now() - startedMs) / 1000)}`);
  for (const result of bad) console.log(`\n${failureText(result)}`);
  if (bad.length > 0) process.exitCode = 1;
}

async function runAndTell(job: Job, packages: Promise<void>): Promise<JobResult> {
  if (job.needsPackages) await packages;
  say(`${job.name} …`);
  const result = await runJob(job, isRoot, interrupt.signal);
  const { good, passed, failed, seconds } = result;
  say(
    `${job.name}: ${good ? 'passed' : 'FAILED'} in ${seconds.toFixed(0)} s, ${passed} tests passed, ${failed.length} failed`,
  );
  return result;
}

/** Progress, with minutes and seconds since the start. */
function say(text: string): void {
  const seconds = Math.round((performance.now() - startedMs) / 1000);
  const clock = `${String(Math.floor(seconds / 60)).padStart(2)}:${String(seconds % 60).padStart(2, '0')}`;
  console.log(`[${clock}] ${text}`);
}
