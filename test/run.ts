/** `npm test` and `npm run test:full`: the tests in lanes beside each other, a table, and why what failed did. */
import { availableParallelism, constants } from 'node:os';
import { parseArgs } from 'node:util';
import { installPackages } from './lab/debian-packages.ts';
import { buildPackages } from './lab/fleet.ts';
import { waitForNoLab } from './lab/lab-place.ts';
import { type Job, type Lane, planRun } from './runner/plan.ts';
import { type JobResult, runJob } from './runner/run-job.ts';
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

  --labs N      labs that run beside each other (default: one for two processors, and in full twice as many)
`;

/** Debian packages that the tests call by name; test hosts install what they need themselves. */
const TOOLS = ['openssl', 'lintian', 'binutils', 'xz-utils', 'git', 'patch', 'util-linux'];
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { help: { type: 'boolean', short: 'h' }, full: { type: 'boolean' }, labs: { type: 'string' } },
});
/** Fires when the run is interrupted: what runs then takes its hosts away, and nothing else begins. */
const interrupt = new AbortController();
const isRoot = process.geteuid?.() === 0;
const startedMs = performance.now();

if (values.help === true) {
  console.log(HELP);
} else {
  try {
    const pairs = Math.max(1, Math.floor(availableParallelism() / 2));
    const labs = Number(values.labs ?? (values.full === true ? 2 * pairs : pairs));
    if (!(labs >= 1)) throw new Error('--labs is not a number from 1');
    await run(planRun(positionals, values.full === true, labs));
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n\n${HELP}`);
    process.exitCode = 2;
  }
}

async function run(lanes: readonly Lane[]): Promise<void> {
  let interruptedBy: NodeJS.Signals | undefined;
  for (const signal of SIGNALS) {
    process.on(signal, () => {
      interruptedBy ??= signal;
      interrupt.abort();
    });
  }
  if (isRoot) await installPackages(TOOLS, say);
  const needsPackages = lanes.some(({ jobs }) => jobs.some((job) => job.needsPackages));
  const packages = needsPackages ? buildPackages(say) : Promise.resolve();
  const results = (await Promise.all(lanes.map((lane) => runLane(lane, packages)))).flat();
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

/** Runs the jobs of a lane in their order, so many at once. */
async function runLane({ atOnce, jobs }: Lane, packages: Promise<void>): Promise<JobResult[]> {
  const waiting = [...jobs];
  const results: JobResult[] = [];
  const work = async () => {
    for (let job = waiting.shift(); job !== undefined && !interrupt.signal.aborted; job = waiting.shift()) {
      if (job.needsPackages) await packages;
      results.push(await runAndTell(job));
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return results.sort((one, other) => jobs.indexOf(one.job) - jobs.indexOf(other.job));
}

async function runAndTell(job: Job): Promise<JobResult> {
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
