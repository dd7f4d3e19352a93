/** `npm run bench`: figures of this machine beside a peer or a limit. It measures and never judges. */
import { parseArgs } from 'node:util';
import { messageOf } from '../../common/errors/app-error.ts';
import { stopSignal } from '../../common/run/run-tasks.ts';
import { formatTable } from '../../server/cli/table.ts';
import { installPackages } from '../lab/debian-packages.ts';
import { type Bench, type BenchResult, digits } from './figure.ts';
import { issuing } from './issuing.ts';
import { journal } from './journal.ts';
import { describeMachine } from './machine.ts';
import { plan } from './plan.ts';
import { sessions } from './sessions.ts';
import { strangers } from './strangers.ts';

const BENCHES: readonly Bench[] = [issuing, journal, plan, sessions, strangers];
/** For all of them; installing packages comes before, and ending a server may take 15 s after it. */
const LIMIT_MS = 285_000;

const HELP = `npm run bench [-- NAME …]        (issuing installs golang-cfssl with apt-get where it is missing: that needs root)

Prints each figure beside a peer or a limit, measured in the same run, and their ratio. Nothing is judged. Under 5 minutes.

${BENCHES.map(({ name, about }) => `  ${name.padEnd(10)} ${about}`).join('\n')}
  --help     this text
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { help: { type: 'boolean', short: 'h' } },
});
const unknown = positionals.filter((name) => !BENCHES.some((bench) => bench.name === name));

if (values.help === true) {
  console.log(HELP);
} else if (unknown.length > 0) {
  console.error(`there is no bench ${unknown.join(', ')}\n\n${HELP}`);
  process.exitCode = 2;
} else {
  const wanted = BENCHES.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
  if (!(await runBenches(wanted))) process.exitCode = 1;
}

/** False when one could not be measured. */
async function runBenches(benches: readonly Bench[]): Promise<boolean> {
  const packages = new Set(benches.flatMap((bench) => bench.packages));
  await installPackages([...packages], (text) => console.log(text));
  const machine = await describeMachine();
  console.log(`${machine.join('\n')}\n`);
  const signal = AbortSignal.any([stopSignal(), AbortSignal.timeout(LIMIT_MS)]);
  const startedMs = performance.now();
  const results: { name: string; result: BenchResult }[] = [];
  const failures: string[] = [];
  for (const bench of benches) {
    const say = (text: string) => {
      const seconds = String(Math.round((performance.now() - startedMs) / 1000)).padStart(3);
      console.log(`[${seconds} s] ${bench.name}: ${text}`);
    };
    try {
      signal.throwIfAborted();
      results.push({ name: bench.name, result: await bench.run(say, signal) });
    } catch (error) {
      failures.push(`${bench.name} was not measured: ${messageOf(signal.aborted ? signal.reason : error)}`);
    }
  }
  print(machine, results, failures);
  return failures.length === 0;
}

function print(
  machine: readonly string[],
  results: readonly { name: string; result: BenchResult }[],
  failures: readonly string[],
): void {
  const rows = results.flatMap(({ name, result }) =>
    result.figures.map(({ what, ours, against, ratio, better }) => [name, what, ours, against, digits(ratio), better]),
  );
  console.log(
    rows.length === 0 ? '' : `\n${formatTable(['BENCH', 'WHAT', 'OURS', 'AGAINST', 'RATIO', 'BETTER'], rows)}`,
  );
  for (const { name, result } of results) for (const note of result.notes) console.log(`${name}: ${note}`);
  console.log(`\n${machine.join('\n')}`);
  for (const failure of failures) console.error(failure);
}
