/** `npm run test:mutants`: which changes of the code no test notices. */
import { globSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Mutant, mutated } from './mutant.ts';
import { mutants } from './mutants.ts';
import { CHECKOUT, ScratchCopy, type TestRun } from './scratch-copy.ts';

const HELP = `npm run test:mutants [-- ID …]

Changes one condition or constant at a time, in two scratch copies of the checkout, and runs the tests that have to notice. First
the same tests run unchanged: they have to pass. Ends with status 1 when a mutant survives that may not, or when its text does not
stand in its file exactly once. The mutants are listed in test/mutants/*-mutants.ts.

  ID        only these: "R4 V2"
  --list    only prints the mutants
`;

/** Mutants at work at once. */
const LANES = 2;
/** A test file may take so many times what it takes unmutated, and so much more: a mutant that makes it hang is noticed. */
const SLOWER = 4;
const SLACK_MS = 20_000;
/** Limit of a test file that is not mutated. */
const UNMUTATED_MS = 300_000;

/** What became of a mutant. */
type Fate = { fate: 'killed'; by: string } | { fate: 'survived' };

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { help: { type: 'boolean', short: 'h' }, list: { type: 'boolean' } },
});
const unknown = positionals.filter((id) => mutants.every((mutant) => mutant.id !== id));
const chosen = mutants.filter(({ id }) => positionals.length === 0 || positionals.includes(id));

if (values.help === true) console.log(HELP);
else if (unknown.length > 0) {
  console.error(`there is no mutant ${unknown.join(', ')}\n\n${HELP}`);
  process.exitCode = 2;
} else if (values.list === true) {
  for (const mutant of chosen)
    console.log(`${titleOf(mutant)}${mutant.survives === undefined ? '' : ' (may survive)'}`);
} else process.exitCode = await main(chosen);

/** Returns the exit status. */
async function main(chosen: readonly Mutant[]): Promise<number> {
  const startedMs = performance.now();
  const lost = chosen.filter((each) => mutated(readFileSync(join(CHECKOUT, each.file), 'utf8'), each) === undefined);
  for (const { id, file, find } of lost) console.error(`${id}: this does not stand in ${file} exactly once: ${find}`);
  if (lost.length > 0) return 1;
  const copies = Array.from({ length: LANES }, () => new ScratchCopy());
  const close = () => {
    for (const copy of copies) copy.close();
  };
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.once(name, () => {
      close();
      process.exit(128 + constants.signals[name]);
    });
  }
  try {
    const tookMs = await runUnmutated(chosen, copies);
    if (tookMs === undefined) return 1;
    const survivors = await runMutated(chosen, copies, tookMs);
    const bad = survivors.filter(({ survives }) => survives === undefined);
    const may = survivors.length - bad.length;
    const counts = `${chosen.length - survivors.length} killed, ${may} survived that may, ${bad.length} SURVIVED that may not`;
    const which = bad.length === 0 ? '' : ` (${bad.map(({ id }) => id).join(' ')})`;
    console.log(`\n${chosen.length} mutants: ${counts}${which}; ${seconds(performance.now() - startedMs)} s in all`);
    return bad.length === 0 ? 0 : 1;
  } finally {
    close();
  }
}

/** How long each test file takes; undefined when one fails. */
async function runUnmutated(
  chosen: readonly Mutant[],
  copies: readonly ScratchCopy[],
): Promise<ReadonlyMap<string, number> | undefined> {
  const files = [...new Set(chosen.flatMap(testFilesOf))].sort();
  const tookMs = new Map<string, number>();
  const startedMs = performance.now();
  let failed = 0;
  await inLanes(files, copies, async (file, copy) => {
    const begunMs = performance.now();
    const run = await copy.runTests(file, UNMUTATED_MS);
    tookMs.set(file, performance.now() - begunMs);
    if (run.result === 'passed') return;
    failed++;
    console.error(`${file} fails without a mutant: ${run.result === 'late' ? 'it took too long' : run.output}`);
  });
  if (failed > 0) return undefined;
  console.log(`${files.length} test files pass without a mutant, ${seconds(performance.now() - startedMs)} s\n`);
  return tookMs;
}

/** Those that survive. */
async function runMutated(
  chosen: readonly Mutant[],
  copies: readonly ScratchCopy[],
  tookMs: ReadonlyMap<string, number>,
): Promise<Mutant[]> {
  const survivors: Mutant[] = [];
  await inLanes(chosen, copies, async (mutant, copy) => {
    const begunMs = performance.now();
    const fate = await copy.withMutant(mutant, () => fateOf(mutant, copy, tookMs));
    const took = `${seconds(performance.now() - begunMs)} s`;
    if (fate.fate === 'killed') console.log(`${titleOf(mutant)}: killed by ${fate.by}, ${took}`);
    else {
      survivors.push(mutant);
      const may = mutant.survives === undefined ? 'SURVIVED' : `survived, and may: ${mutant.survives}`;
      console.log(`${titleOf(mutant)}: ${may}, ${took}`);
    }
  });
  return survivors;
}

async function fateOf(mutant: Mutant, copy: ScratchCopy, tookMs: ReadonlyMap<string, number>): Promise<Fate> {
  for (const file of testFilesOf(mutant)) {
    const run = await copy.runTests(file, (tookMs.get(file) ?? 0) * SLOWER + SLACK_MS);
    if (run.result !== 'passed') return { fate: 'killed', by: `${file} ${howOf(run)}` };
  }
  return { fate: 'survived' };
}

function howOf(run: Exclude<TestRun, { result: 'passed' }>): string {
  if (run.result === 'late') return '(it did not end in time)';
  return run.test === '' ? '(it could not be run)' : `"${run.test}"`;
}

/** Each item once, as many at once as there are copies. */
async function inLanes<T>(
  items: readonly T[],
  copies: readonly ScratchCopy[],
  work: (item: T, copy: ScratchCopy) => Promise<void>,
): Promise<void> {
  const left = [...items];
  await Promise.all(
    copies.map(async (copy) => {
      for (let item = left.shift(); item !== undefined; item = left.shift()) await work(item, copy);
    }),
  );
}

/** In the order of their globs, and of their names where one glob finds several. */
function testFilesOf({ tests }: Mutant): string[] {
  return [...new Set(tests.flatMap((glob) => globSync(glob, { cwd: CHECKOUT }).sort()))];
}

function titleOf({ id, file, find, replace }: Mutant): string {
  const short = (text: string) => text.replace(/\s+/g, ' ').trim() || '(nothing)';
  return `${id} ${file}: ${short(find)} -> ${short(replace)}`;
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(1);
}
