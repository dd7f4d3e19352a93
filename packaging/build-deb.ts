/** Builds the Debian packages: `npm run build:deb`. Only this file ends the process. */
import { mkdir, mkdtemp, rename, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { messageOf } from '../common/errors/app-error.ts';
import { runChecked, runCommand } from '../common/run/command.ts';
import { type Architecture, architectures } from './architectures.ts';
import { type Bundle, bundle } from './bundle.ts';
import { controlFiles } from './control-files.ts';
import { nodeRelease } from './node-release.ts';
import { type PackageDefinition, type Program, packages } from './package-definitions.ts';
import { packageFiles } from './package-files.ts';
import { type Release, readRelease } from './release.ts';
import { stageTree } from './stage-tree.ts';

const HELP = `npm run build:deb [-- OPTIONS]        (or: node packaging/build-deb.ts [OPTIONS])

Makes kube-mtls-server_VERSION_ARCH.deb and kube-mtls-agent_VERSION_ARCH.deb: code and Node.js, complete.
Needs dpkg-deb, and for the architecture that is not this machine's npm and its registry, once.

  --arch ARCH      amd64, arm64 or all (default: all)
  --output FOLDER  where to put them (default: dist)
  --help           this text
`;

const repository = join(import.meta.dirname, '..');
const PACK_MS = 15 * 60_000;
const MOST_BYTES = 45_000_000;

const startedMs = Date.now();
function say(text: string): void {
  console.log(`[${String(Math.round((Date.now() - startedMs) / 1000)).padStart(3)} s] ${text}`);
}

/** One package of one architecture. */
interface Target {
  definition: PackageDefinition;
  architecture: Architecture;
  bundles: readonly (readonly [Program, Bundle])[];
  release: Release;
  /** Folder with the Node.js of the architecture. */
  nodeFolder: string;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      arch: { type: 'string', default: 'all' },
      output: { type: 'string', default: join(repository, 'dist') },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return console.log(HELP);
  const wanted = architectures.filter((each) => values.arch === 'all' || values.arch === each);
  if (wanted.length === 0) throw new Error(`there is no architecture ${values.arch}: say amd64, arm64 or all`);
  const output = resolve(values.output);
  const release = await readRelease(repository, runCommand, process.env);
  const targets: Target[] = [];
  for (const definition of packages) {
    say(`bundling ${definition.programs.map(({ name }) => name).join(' and ')}`);
    const bundles = await Promise.all(
      definition.programs.map(async (program) => [program, await bundle(repository, program.entryPoint)] as const),
    );
    for (const architecture of wanted) {
      const nodeFolder = await nodeRelease({ repository, run: runCommand, say }, architecture);
      targets.push({ definition, architecture, bundles, release, nodeFolder });
    }
  }
  await mkdir(output, { recursive: true });
  for (const target of targets) await buildPackage(target, output);
}

async function buildPackage(target: Target, output: string): Promise<void> {
  const { definition, architecture, release } = target;
  const file = join(output, `${definition.name}_${release.version}_${architecture}.deb`);
  say(`packing ${file}`);
  const tree = await mkdtemp(join(tmpdir(), `${definition.name}-`));
  const aside = `${file}.${process.pid}.part`; // whoever takes packages from there never sees half of one
  try {
    const files = await packageFiles({ repository, ...target });
    await stageTree(tree, files, release.epoch);
    await stageTree(tree, await controlFiles(definition, { repository, release, architecture, tree }), release.epoch);
    // Level 1: most of it is the Node.js binary, which level 6 makes a seventh smaller in four times the time.
    const pack = ['dpkg-deb', '--root-owner-group', '-Zxz', '-z1', '--build', tree, aside] as const;
    const environment = ['env', `SOURCE_DATE_EPOCH=${release.epoch}`] as const;
    await runChecked(runCommand, [...environment, ...pack], { timeoutMs: PACK_MS });
    const { size } = await stat(aside);
    if (size > MOST_BYTES) throw new Error(`${file} would have ${size} bytes, more than ${MOST_BYTES}`);
    await rename(aside, file);
    say(`${file}: ${(size / 1_000_000).toFixed(1)} MB`);
  } finally {
    await rm(tree, { recursive: true, force: true });
    await rm(aside, { force: true });
  }
}

try {
  await main();
} catch (error) {
  console.error(`build-deb: ${messageOf(error)}`);
  process.exitCode = 1;
}
