import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { runJob } from './run-job.ts';
import { failureText, jobTable } from './table.ts';

const never = new AbortController().signal;

describe('a job of tests', () => {
  let folder: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kube-mtls-runner-'));
  });
  after(() => rm(folder, { recursive: true }));

  async function run(kind: 'tests' | 'lab', text: string, skipsAreFaults = true, signal = never) {
    const file = join(folder, 'a.test.ts');
    await writeFile(file, `import { before, describe, it } from 'node:test';\n${text}\n`);
    return runJob(
      { name: 'runner/fixture', kind, files: [file], needsPackages: false, processors: 1, minutes: 1 },
      skipsAreFaults,
      signal,
    );
  }

  for (const kind of ['tests', 'lab'] as const) {
    const cases: [what: string, text: string, good: boolean, passed: number, why: RegExp][] = [
      ['passes', "describe('a', () => { it('b', () => {}); it('c', () => {}); });", true, 2, /^$/],
      [
        'fails',
        "it('b', () => {}); it('c', () => { throw new Error('the cause'); });",
        false,
        1,
        /FAILED c\n.*the cause/s,
      ],
      ['skips', "it('b', () => {}); it('c', (test) => test.skip('no root'));", false, 1, /SKIPPED c: no root/],
      [
        'fails in its preparation',
        "describe('a', () => { before(() => { throw new Error('no host'); }); it('b', () => {}); });",
        false,
        0,
        /no host/,
      ],
      ['has no test', 'console.log("nothing here");', false, 0, /nothing here/],
      ['ends in the middle with status 0', "it('b', () => { process.exit(0); }); it('c', () => {});", false, 0, /./],
      ['does not parse', 'it(', false, 0, /SyntaxError|ERR_INVALID_TYPESCRIPT_SYNTAX|test failed/],
    ];
    for (const [what, text, good, passed, why] of cases) {
      it(`that ${what} is ${good ? 'good' : 'not good'} (${kind})`, async () => {
        const result = await run(kind, text);
        assert.equal(result.good, good);
        // with --test a file without a test counts as one that passed
        if (what !== 'has no test') assert.equal(result.passed, passed);
        assert.match(jobTable([result], 1), good ? /passed$/ : /1 FAILED$/);
        if (!good) assert.match(failureText(result), why);
      });
    }
  }

  it('that skips is good where a skip is no fault', async () => {
    const result = await run('lab', "it('b', () => {}); it('c', (test) => test.skip('no root'));", false);
    assert.deepEqual([result.good, result.skipped.map(({ name }) => name)], [true, ['c']]);
  });

  it('ends when the run is interrupted', async () => {
    const interrupt = new AbortController();
    const hanging = run(
      'lab',
      "it('b', () => new Promise(() => setInterval(() => {}, 1000)));",
      true,
      interrupt.signal,
    );
    interrupt.abort();
    assert.equal((await hanging).good, false);
  });
});
