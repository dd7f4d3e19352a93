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
  /** So many processors it keeps busy; where it has fewer, what is measured in it is not what it would be. */
  processors: number;
  /** How long it takes alone on two processors. */
  minutes: number;
}

const BESIDE_THE_CODE = ['common', 'server', 'agent', 'packaging', 'test/lab', 'test/runner', 'test/mutants'];

/** What needs no lab. */
function processorJobs(): Job[] {
  return [
    { name: 'check', kind: 'check', files: [], needsPackages: false, processors: 1, minutes: 0.5 },
    tests('unit', 7, ...BESIDE_THE_CODE.map((folder) => `${folder}/**/*.test.ts`)),
    tests('integration', 1.5, 'test/integration/**/*.test.ts'),
    tests('etcd', 0.3, 'test/etcd/**/*.test.ts'),
    { ...tests('lintian', 1, 'test/packages/**/*.test.ts'), needsPackages: true },
  ];
}

/** Suites on hosts of a lab: how long they take, how busy they are, and whether `npm test` has them too. */
const LABS: Readonly<Record<string, { minutes: number; processors: number; quick?: true }>> = {
  'cluster/three-kubeadm': { minutes: 25, processors: 2 },
  'cluster/three-control-planes': { minutes: 20, processors: 2 },
  'cluster/three-control-planes-suffer': { minutes: 20, processors: 2 },
  'cluster/renewal': { minutes: 13, processors: 0.5 },
  'cluster/replace-ca-pods': { minutes: 12, processors: 1 },
  'cluster/replace-ca-units': { minutes: 6, processors: 1 },
  'cluster/adopt-units': { minutes: 6, processors: 1, quick: true },
  'cluster/crash': { minutes: 6, processors: 1 },
  'cluster/adopt-pods': { minutes: 5, processors: 1 },
  'cluster/faults': { minutes: 4, processors: 1 },
  'cluster/slow-stop': { minutes: 4, processors: 1 },
  'hosts/day-two': { minutes: 9, processors: 0.25 },
  'hosts/restored-server': { minutes: 8, processors: 0.25 },
  'hosts/clocks': { minutes: 5, processors: 0.25 },
  'hosts/etcd-migration': { minutes: 4.5, processors: 0.5, quick: true },
  'hosts/abort-rotation': { minutes: 8, processors: 0.5 },
  'hosts/partition': { minutes: 5, processors: 0.5 },
  'hosts/power-cut': { minutes: 4, processors: 0.5 },
  'hosts/full-disk': { minutes: 2, processors: 0.5 },
  'hosts/slow-network': { minutes: 2, processors: 0.5 },
  'hosts/slow-machine': { minutes: 2, processors: 0.5 },
  'hosts/etcd-by-file': { minutes: 1, processors: 0.5 },
  'hosts/packages': { minutes: 1, processors: 0.5, quick: true },
  'hosts/join': { minutes: 1, processors: 0.5, quick: true },
  'hosts/strangers-lines': { minutes: 0.2, processors: 0.5, quick: true },
};
/** One that the table does not know is in the full run alone, and comes first. */
const UNKNOWN = { minutes: 15, processors: 1, quick: undefined };

/** One job for each file. */
function labJobs(full: boolean): Job[] {
  return globSync(['test/hosts/**/*.test.ts', 'test/cluster/**/*.test.ts']).flatMap((file): Job[] => {
    const name = file.replace(/^test\//, '').replace(/\.test\.ts$/, '');
    const { minutes, processors, quick } = LABS[name] ?? UNKNOWN;
    return full || quick ? [{ name, kind: 'lab', files: [file], needsPackages: true, processors, minutes }] : [];
  });
}

function tests(name: string, minutes: number, ...globs: readonly string[]): Job {
  const files = globs.flatMap((glob) => globSync(glob)).sort();
  return { name, kind: 'tests', files, needsPackages: false, processors: 1, minutes };
}

/**
 * The jobs of a run: the check first, which tells most in the least time, then the longest first.
 *
 * @param words - names of jobs, or of their folders ("hosts"); none for all
 * @param full - whether suites that `npm test` leaves out are in it; those that are named always are
 * @throws Error for a word that names nothing
 */
export function planRun(words: readonly string[], full: boolean): Job[] {
  const names = (job: Job, word: string) => job.name === word || job.name.startsWith(`${word}/`);
  const jobs = [...processorJobs(), ...labJobs(full || words.length > 0)];
  const unknown = words.filter((word) => !jobs.some((job) => names(job, word)));
  if (unknown.length > 0) throw new Error(`there is no test ${unknown.join(', ')}`);
  const isFirst = ({ kind }: Job) => (kind === 'check' ? 0 : 1);
  return jobs
    .filter((job) => words.length === 0 || words.some((word) => names(job, word)))
    .sort((one, other) => isFirst(one) - isFirst(other) || other.minutes - one.minutes);
}
