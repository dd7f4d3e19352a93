/** What `npm test` and `npm run test:full` run, and in which lanes. */
import { globSync } from 'node:fs';

/** Something that runs as one process, with a line of its own in the table. */
export interface Job {
  /** "unit", "cluster/adopt-units". */
  name: string;
  kind: 'check' | 'tests' | 'lab';
  /** Test files; none for the check. */
  files: readonly string[];
  /** Whether it looks into the built packages. */
  needsPackages: boolean;
}

/** Jobs that run beside those of other lanes. */
export interface Lane {
  /** Jobs that run at once. */
  atOnce: number;
  jobs: readonly Job[];
}

const BESIDE_THE_CODE = ['common', 'server', 'agent', 'packaging', 'test/lab', 'test/runner', 'test/mutants'];

/** What needs no lab, in this order. */
function processorJobs(): Job[] {
  return [
    { name: 'check', kind: 'check', files: [], needsPackages: false },
    tests('unit', ...BESIDE_THE_CODE.map((folder) => `${folder}/**/*.test.ts`)),
    tests('integration', 'test/integration/**/*.test.ts'),
    tests('etcd', 'test/etcd/**/*.test.ts'),
    { ...tests('lintian', 'test/packages/**/*.test.ts'), needsPackages: true },
  ];
}

/** Suites on hosts of a lab, the longest first: by the minutes that they take alone on two cores. */
const LAB_MINUTES: Readonly<Record<string, { minutes: number; quick: boolean }>> = {
  'cluster/three-control-planes': { minutes: 20, quick: false },
  'cluster/renewal': { minutes: 13, quick: false },
  'cluster/replace-ca-pods': { minutes: 12, quick: false },
  'cluster/replace-ca-units': { minutes: 10, quick: false },
  'cluster/adopt-units': { minutes: 6, quick: true },
  'cluster/crash': { minutes: 6, quick: false },
  'cluster/adopt-pods': { minutes: 5, quick: false },
  'cluster/faults': { minutes: 4, quick: false },
  'cluster/slow-stop': { minutes: 4, quick: false },
  'hosts/day-two': { minutes: 9, quick: false },
  'hosts/restored-server': { minutes: 8, quick: false },
  'hosts/etcd-migration': { minutes: 5, quick: true },
  'hosts/clocks': { minutes: 5, quick: false },
  'hosts/partition': { minutes: 5, quick: false },
  'hosts/power-cut': { minutes: 4, quick: false },
  'hosts/full-disk': { minutes: 2, quick: false },
  'hosts/slow-network': { minutes: 2, quick: false },
  'hosts/slow-machine': { minutes: 2, quick: false },
  'hosts/packages': { minutes: 1, quick: true },
  'hosts/join': { minutes: 1, quick: true },
  'hosts/strangers-lines': { minutes: 0, quick: true },
};

/** One job for each file; one that the table does not know is in the full run alone, and comes first. */
function labJobs(full: boolean): Job[] {
  return globSync(['test/hosts/**/*.test.ts', 'test/cluster/**/*.test.ts'])
    .map((file) => ({ file, name: file.replace(/^test\//, '').replace(/\.test\.ts$/, '') }))
    .filter(({ name }) => full || LAB_MINUTES[name]?.quick === true)
    .sort((one, other) => minutesOf(other.name) - minutesOf(one.name))
    .map(({ file, name }) => ({ name, kind: 'lab', files: [file], needsPackages: true }));
}

function minutesOf(name: string): number {
  return LAB_MINUTES[name]?.minutes ?? Number.POSITIVE_INFINITY;
}

function tests(name: string, ...globs: readonly string[]): Job {
  return { name, kind: 'tests', files: globs.flatMap((glob) => globSync(glob)).sort(), needsPackages: false };
}

/**
 * The lanes of a run.
 *
 * @param words - names of jobs, or of their folders ("hosts"); none for all
 * @param full - whether suites that `npm test` leaves out are in it; those that are named always are
 * @param labsAtOnce - hosts of so many labs run beside each other
 * @throws Error for a word that names nothing
 */
export function planRun(words: readonly string[], full: boolean, labsAtOnce: number): Lane[] {
  const named = (job: Job) =>
    words.length === 0 || words.some((word) => job.name === word || job.name.startsWith(`${word}/`));
  const [processor, labs] = [processorJobs(), labJobs(full || words.length > 0)];
  const unknown = words.filter(
    (word) => ![...processor, ...labs].some(({ name }) => name === word || name.startsWith(`${word}/`)),
  );
  if (unknown.length > 0) throw new Error(`there is no test ${unknown.join(', ')}`);
  return [
    { atOnce: 2, jobs: processor.filter(named) },
    { atOnce: labsAtOnce, jobs: labs.filter(named) },
  ];
}
