/** The control files of a package: control, conffiles, md5sums and the maintainer scripts. */
import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Architecture } from './architectures.ts';
import type { PackageDefinition } from './package-definitions.ts';
import { maintainer, type Release } from './release.ts';
import type { StagedFile } from './stage-tree.ts';

/**
 * What the Node.js 24 binary links and asks of it (`readelf -V`: GLIBC_2.28, CXXABI_1.3.11, GCC_3.4, the same on both
 * architectures), and systemd for the units and systemd-sysusers.
 */
const DEPENDS = ['libc6 (>= 2.28)', 'libgcc-s1 (>= 3.4)', 'libstdc++6 (>= 7)', 'systemd (>= 247)'];

const SCRIPTS = ['postinst', 'prerm', 'postrm'] as const;

/**
 * Control files for a staged tree, below DEBIAN.
 *
 * @param tree - folder in which the files are staged
 */
export async function controlFiles(
  definition: PackageDefinition,
  options: { repository: string; release: Release; architecture: Architecture; tree: string },
): Promise<StagedFile[]> {
  const paths = await filesBelow(options.tree);
  const conffiles = paths.filter((path) => path.startsWith('etc/'));
  const files: StagedFile[] = [
    {
      path: 'DEBIAN/control',
      mode: 0o644,
      content: control(definition, { ...options, installedKib: await installedKib(options.tree, paths) }),
    },
    { path: 'DEBIAN/md5sums', mode: 0o644, content: await md5sums(options.tree, paths, conffiles) },
  ];
  if (conffiles.length > 0) {
    files.push({ path: 'DEBIAN/conffiles', mode: 0o644, content: conffiles.map((path) => `/${path}\n`).join('') });
  }
  for (const script of SCRIPTS) {
    const copyOf = join(options.repository, 'packaging', definition.folder, script);
    files.push({ path: `DEBIAN/${script}`, mode: 0o755, copyOf });
  }
  return files;
}

/** The control file, deb-control(5). */
export function control(
  definition: PackageDefinition,
  options: { release: Release; architecture: Architecture; installedKib: number },
): string {
  return `Package: ${definition.name}
Version: ${options.release.version}
Architecture: ${options.architecture}
Maintainer: ${maintainer}
Installed-Size: ${options.installedKib}
Depends: ${[...DEPENDS, ...definition.depends].join(', ')}
Section: admin
Priority: optional
Description: ${definition.synopsis}
${definition.description.map((paragraph) => fold(paragraph)).join('\n .\n')}
`;
}

/** Lines of at most 79 characters, each indented by one. */
function fold(paragraph: string): string {
  const lines: string[] = [];
  let line = '';
  for (const word of paragraph.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > 78) {
      lines.push(line);
      line = '';
    }
    line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line].map((each) => ` ${each}`).join('\n');
}

/** Files in a staged tree, relative to it, sorted. */
async function filesBelow(tree: string): Promise<string[]> {
  const entries = await readdir(tree, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(tree.length + 1))
    .sort();
}

async function md5sums(tree: string, paths: readonly string[], conffiles: readonly string[]): Promise<string> {
  const lines: string[] = [];
  for (const path of paths) {
    if (conffiles.includes(path)) continue;
    const digest = createHash('md5').update(await readFile(join(tree, path))); // dpkg knows no other
    lines.push(`${digest.digest('hex')}  ${path}\n`);
  }
  return lines.join('');
}

/** As dpkg-gencontrol counts: every file rounded up to a KiB. */
async function installedKib(tree: string, paths: readonly string[]): Promise<number> {
  let kib = 0;
  for (const path of paths) kib += Math.ceil((await stat(join(tree, path))).size / 1024);
  return kib;
}
