/** Everything that a package installs. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { renderServerConfig } from '../server/config/render-server-config.ts';
import type { Bundle } from './bundle.ts';
import { changelog, copyright, thirdPartyNotices } from './documents.ts';
import type { PackageDefinition, Program } from './package-definitions.ts';
import type { Release } from './release.ts';
import type { StagedFile } from './stage-tree.ts';

/** What a package is made of. */
export interface Ingredients {
  /** Folder that holds packaging and node_modules. */
  repository: string;
  definition: PackageDefinition;
  release: Release;
  /** Each program with its bundle. */
  bundles: readonly (readonly [Program, Bundle])[];
  /** Folder with bin/node and LICENSE. */
  nodeFolder: string;
}

/** The files, by path. */
export async function packageFiles(ingredients: Ingredients): Promise<StagedFile[]> {
  const { repository, definition, bundles, nodeFolder } = ingredients;
  const library = `usr/lib/${definition.name}`;
  const files: StagedFile[] = [{ path: `${library}/node`, mode: 0o755, copyOf: join(nodeFolder, 'bin/node') }];
  for (const [program, { code }] of bundles) {
    files.push({ path: `${library}/${program.name}.mjs`, mode: 0o644, content: code });
    files.push({ path: `${program.commandFolder}/${program.name}`, mode: 0o755, content: command(library, program) });
  }
  for (const path of new Set(bundles.flatMap(([, { runtimePaths }]) => runtimePaths))) {
    for (const file of await filesOf(repository, path)) {
      files.push({ path: `${library}/${file}`, mode: 0o644, copyOf: join(repository, file) });
    }
  }
  for (const [name, path] of Object.entries(definition.files)) {
    files.push({ path, mode: 0o644, copyOf: join(repository, 'packaging', definition.folder, name) });
  }
  files.push(...(await documents(ingredients)));
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** Starts the program with the Node.js of the package, and not with options that were meant for another one. */
function command(library: string, { name }: Program): string {
  return `#!/bin/sh
unset NODE_OPTIONS NODE_PATH
exec /${library}/node /${library}/${name}.mjs "$@"
`;
}

async function documents(ingredients: Ingredients): Promise<StagedFile[]> {
  const { repository, definition, release, bundles, nodeFolder } = ingredients;
  const folder = `usr/share/doc/${definition.name}`;
  const packageFolders = [...new Set(bundles.flatMap(([, bundle]) => bundle.packageFolders))].sort();
  const notices = await thirdPartyNotices({ repository, packageFolders, nodeFolder });
  const files: StagedFile[] = [
    { path: `${folder}/changelog.gz`, mode: 0o644, content: compress(changelog(definition.name, release)) },
    { path: `${folder}/copyright`, mode: 0o644, content: copyright(definition.name, release) },
    { path: `${folder}/third-party-notices.gz`, mode: 0o644, content: compress(notices) },
  ];
  if (definition.name === 'kube-mtls-server') {
    files.push({ path: `${folder}/examples/server.yaml`, mode: 0o644, content: exampleServerConfig() });
  }
  for (const page of definition.manPages) {
    const text = await readFile(join(repository, 'packaging/man', page), 'utf8');
    const section = page.slice(-1);
    const content = compress(text.replaceAll('@VERSION@', release.version));
    files.push({ path: `usr/share/man/man${section}/${page}.gz`, mode: 0o644, content });
  }
  return files;
}

/** What `kube-mtls-server init` would write for a cluster with usual settings. */
function exampleServerConfig(): string {
  return renderServerConfig({
    clusterName: 'prod',
    apiEndpoint: 'k8s.example.com:6443',
    serviceCidr: '10.96.0.0/12',
    dnsDomain: 'cluster.local',
    advertise: ['ca.example.com', '192.0.2.10'],
    stateFolder: '/var/lib/kube-mtls-server',
    apiServerExtraNames: [],
    kubeletClientOrganization: 'system:masters',
    adminOrganization: 'system:masters',
  });
}

/** As `gzip -9n`: no name and no time in it. */
function compress(text: string): Uint8Array {
  return gzipSync(text, { level: 9 });
}

/** A file, or all files of a folder, relative to the repository. */
async function filesOf(repository: string, path: string): Promise<string[]> {
  if ((await stat(join(repository, path))).isFile()) return [path];
  const entries = await readdir(join(repository, path), { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(repository.length + 1));
}
