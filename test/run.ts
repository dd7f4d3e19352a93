/** `npm test`: all parts of the tests, one after another, and one closing line. */
import { spawn } from 'node:child_process';
import { globSync } from 'node:fs';
import { constants } from 'node:os';
import { parseArgs } from 'node:util';
import { buildPackages } from './lab/fleet.ts';
import { waitForNoLab } from './lab/lab-lock.ts';
import { installPackages } from './lab/packages.ts';

const HELP = `npm test [-- PART …]        (hosts, e2e and cluster need root, on Debian 12 or 13)

Parts, all of them in this order unless named:
  check         types, lint with folder boundaries, protos, generated code
  unit          *.test.ts beside the code
  integration   server and agent in one process, real mutual TLS on localhost
  hosts         real systemd hosts in containers: packages, transaction, crashes, etcd
  e2e           a real Kubernetes cluster (the first time it is built from Debian's source: six minutes more)
  cluster       real clusters of systemd units and of static pods: adopted, moved to new CAs, renewed
`;

/** Files of each part; hosts, e2e and cluster share one lab, so their files run one at a time. */
const PARTS = {
  check: undefined,
  unit: { globs: ['common', 'server', 'agent', 'packaging'].map((folder) => `${folder}/**/*.test.ts`), atOnce: 2 },
  integration: { globs: ['test/integration/**/*.test.ts'], atOnce: 2 },
  hosts: { globs: ['test/hosts/**/*.test.ts'], atOnce: 1 },
  e2e: { globs: ['test/e2e/**/*.test.ts'], atOnce: 1 },
  cluster: { globs: ['test/cluster/**/*.test.ts'], atOnce: 1 },
} as const;

/** Debian packages that the tests call by name; test hosts install what they need themselves. */
const TOOLS = ['openssl', 'lintian', 'binutils', 'xz-utils', 'git', 'patch'];

type Part = keyof typeof PARTS;

/** Parts that install the packages on hosts. */
const ON_HOSTS: readonly Part[] = ['hosts', 'e2e', 'cluster'];

/** The signal that ends the run; the part that it interrupts takes its hosts away, and no other begins. */
let interruptedBy: NodeJS.Signals | undefined;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { help: { type: 'boolean', short: 'h' } },
});
const unknown = positionals.filter((name) => !Object.hasOwn(PARTS, name));

if (values.help === true) {
  console.log(HELP);
} else if (unknown.length > 0) {
  console.error(`there is no part ${unknown.join(', ')}\n\n${HELP}`);
  process.exitCode = 2;
} else {
  const all = Object.keys(PARTS) as Part[]; // the keys of PARTS are exactly Part
  await runParts(all.filter((part) => positionals.length === 0 || positionals.includes(part)));
}

async function runParts(parts: readonly Part[]): Promise<void> {
  if (process.geteuid?.() === 0) await installPackages(TOOLS, console.log);
  const failed: Part[] = [];
  for (const part of parts) {
    const startedMs = Date.now();
    console.log(`== ${part}`);
    if (ON_HOSTS.includes(part) && process.env.KUBE_MTLS_PACKAGES !== 'built') {
      await buildPackages(console.log);
      process.env.KUBE_MTLS_PACKAGES = 'built'; // for the test files, which build them anew when they run by themselves
    }
    const code = await runPart(part);
    if (interruptedBy !== undefined) break;
    if (code !== 0) failed.push(part);
    console.log(
      `== ${part}: ${code === 0 ? 'passed' : 'FAILED'} in ${Math.round((Date.now() - startedMs) / 1000)} s\n`,
    );
  }
  if (interruptedBy !== undefined) {
    console.error(`interrupted by ${interruptedBy}; waiting until test hosts are gone`);
    await waitForNoLab(60_000);
    process.exitCode = 128 + constants.signals[interruptedBy];
    return;
  }
  console.log(
    `parts: ${parts.length - failed.length} passed, ${failed.length} failed${failed.length > 0 ? ` (${failed.join(', ')})` : ''}`,
  );
  if (failed.length > 0) process.exitCode = 1;
}

async function runPart(part: Part): Promise<number> {
  const how = PARTS[part];
  if (how === undefined) return await start('npm', ['run', '-s', 'check']);
  const files = how.globs.flatMap((glob) => globSync(glob)).sort();
  if (files.length === 0) {
    console.error(`no test file for ${part}: ${how.globs.join(', ')}`);
    return 1;
  }
  return await start(process.execPath, [
    '--test',
    `--test-concurrency=${how.atOnce}`,
    '--test-reporter=spec',
    ...files,
  ]);
}

function start(program: string, args: readonly string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: 'inherit' });
    const pass = (signal: NodeJS.Signals) => () => {
      interruptedBy = signal;
      child.kill(signal);
    };
    const [onInt, onTerm] = [pass('SIGINT'), pass('SIGTERM')];
    process.on('SIGINT', onInt).on('SIGTERM', onTerm);
    child.once('error', reject);
    child.once('close', (code) => {
      process.off('SIGINT', onInt).off('SIGTERM', onTerm);
      resolve(code ?? 1);
    });
  });
}
