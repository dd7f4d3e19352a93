/** Changelog, copyright and the licences of what the packages hold from others. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { maintainer, type Release } from './release.ts';

/** One entry in the format of deb-changelog(5). */
export function changelog(name: string, { version, epoch, commit }: Release): string {
  return `${name} (${version}) stable; urgency=medium

  * Version ${version}, made from commit ${commit}.

 -- ${maintainer}  ${mailDate(epoch)}
`;
}

/** "Tue, 24 Nov 2026 11:22:29 +0000", RFC 5322. */
function mailDate(epoch: number): string {
  return new Date(epoch * 1000).toUTCString().replace('GMT', '+0000');
}

/** In the format of https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/. */
export function copyright(name: string, { epoch }: Release): string {
  const ours = `${new Date(epoch * 1000).getUTCFullYear()} kube-mtls maintainers`;
  return `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: kube-mtls

Files: *
Copyright: ${ours}
License: Apache-2.0
 On Debian systems, the full text of the Apache License, version 2.0,
 is in /usr/share/common-licenses/Apache-2.0.

Files: usr/lib/${name}/node
Copyright: Node.js contributors, and the authors named in third-party-notices.gz
License: Node.js
 This is Node.js as it was released, under the MIT licence, with the libraries
 in it under their own. All of them stand in
 /usr/share/doc/${name}/third-party-notices.gz.

Files: usr/lib/${name}/*.mjs usr/lib/${name}/node_modules/*
Copyright: ${ours}, and the authors named in third-party-notices.gz
License: Apache-2.0 and others
 The code of kube-mtls is under the Apache License, version 2.0. The npm
 packages bundled with it are under the licences in
 /usr/share/doc/${name}/third-party-notices.gz.
`;
}

/** Where the parts from others are. */
export interface Parts {
  repository: string;
  /** Folders of npm packages, relative to the repository. */
  packageFolders: readonly string[];
  /** Folder with the LICENSE of Node.js. */
  nodeFolder: string;
}

const manifestSchema = z.object({ name: z.string(), version: z.string(), license: z.string() });

/**
 * Name, version and licence of every npm package in the bundles and of Node.js, with their texts.
 *
 * @throws Error when a package names no licence
 */
export async function thirdPartyNotices({ repository, packageFolders, nodeFolder }: Parts): Promise<string> {
  const notices: string[] = [];
  for (const folder of packageFolders) {
    const path = join(repository, folder);
    const manifest = manifestSchema.safeParse(JSON.parse(await readFile(join(path, 'package.json'), 'utf8')));
    if (!manifest.success) throw new Error(`${folder}/package.json has no name, version or licence`);
    const { name, version, license } = manifest.data;
    const file = (await readdir(path)).find((each) => /^licen[cs]e(\.|$)/i.test(each));
    const text = file === undefined ? 'The package has no text of it.\n' : await readFile(join(path, file), 'utf8');
    notices.push(section(`${name} ${version}: ${license}`, text));
  }
  notices.push(section('Node.js', await readFile(join(nodeFolder, 'LICENSE'), 'utf8')));
  return notices.join('\n');
}

function section(title: string, text: string): string {
  return `${title}\n${'='.repeat(title.length)}\n\n${text.trim()}\n`;
}
