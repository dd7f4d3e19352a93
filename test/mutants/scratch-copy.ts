/** A copy of the checkout that may be changed, with the tests run in it. */
import { execFileSync, spawn } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type Mutant, mutated } from './mutant.ts';

/** How a test file ended. */
export type TestRun =
  | { result: 'passed' }
  /** The name of the first test that failed; '' where the file itself could not be run. */
  | { result: 'failed'; test: string; output: string }
  | { result: 'late' };

/** What is not copied: the copies lead to that of the checkout. */
const LINKED = ['node_modules', 'dist'];
/** What is told of the output of a test file, in characters from its end. */
const MOST_OUTPUT = 4000;

/** Where the checkout is. */
export const CHECKOUT = join(import.meta.dirname, '../..');

/** The copy. What it leaves below /tmp goes with it. */
export class ScratchCopy {
  readonly #folder = mkdtempSync(join(tmpdir(), 'kube-mtls-mutants-'));
  readonly #root = join(this.#folder, 'checkout');
  readonly #temporary = join(this.#folder, 'tmp');
  readonly #running = new Set<() => void>();

  /** Copies what git knows, and what is new and not ignored, as it stands now. */
  constructor() {
    const list = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
      cwd: CHECKOUT,
      encoding: 'utf8',
      maxBuffer: 64 * 1024 * 1024,
    });
    for (const path of list.split('\0').filter((each) => each !== '' && existsSync(join(CHECKOUT, each)))) {
      mkdirSync(dirname(join(this.#root, path)), { recursive: true });
      copyFileSync(join(CHECKOUT, path), join(this.#root, path));
    }
    for (const name of LINKED) {
      if (existsSync(join(CHECKOUT, name))) symlinkSync(join(CHECKOUT, name), join(this.#root, name));
    }
    mkdirSync(this.#temporary);
  }

  /** Does the work with the mutant in place, and takes it back. */
  async withMutant<T>(mutant: Mutant, work: () => Promise<T>): Promise<T> {
    const path = join(this.#root, mutant.file);
    const text = readFileSync(path, 'utf8');
    const changed = mutated(text, mutant);
    if (changed === undefined) throw new Error(`the text of ${mutant.id} does not stand in ${mutant.file} once`);
    writeFileSync(path, changed);
    try {
      return await work();
    } finally {
      writeFileSync(path, text);
    }
  }

  /** Runs one test file in a process of its own, and ends it when it takes longer than the limit. */
  runTests(file: string, limitMs: number): Promise<TestRun> {
    const child = spawn(process.execPath, ['--test-reporter=tap', file], {
      cwd: this.#root,
      env: { ...process.env, TMPDIR: this.#temporary, NODE_COMPILE_CACHE: join(this.#folder, 'cache') },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true, // so that what it starts ends with it
    });
    let [output, late] = ['', false];
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
    }
    const end = () => {
      if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGKILL');
    };
    this.#running.add(end);
    const limit = setTimeout(() => {
      late = true;
      end();
    }, limitMs);
    return new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code) => {
        clearTimeout(limit);
        this.#running.delete(end);
        if (late) return resolve({ result: 'late' });
        if (code === 0) return resolve({ result: 'passed' });
        const [, test = ''] = /^ *not ok \d+ - (.*)$/m.exec(output) ?? []; // a test comes before the suite that it is of
        resolve({ result: 'failed', test, output: output.slice(-MOST_OUTPUT) });
      });
    });
  }

  /** Ends what runs in it, and removes it. */
  close(): void {
    for (const end of this.#running) end();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
