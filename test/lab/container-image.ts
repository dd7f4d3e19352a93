/** Container images out of plain programs, without a registry and without a base image; `ctr images import` takes them. */
import { createHash } from 'node:crypto';
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { runChecked, runCommand } from '../../common/run/command.ts';

/**
 * Writes an image archive (docker's format: manifest, configuration, one layer) with one program in /bin, which is its entry
 * point, and the libraries that it is linked to.
 *
 * @param name "localhost/etcd:3.4.13-0"
 * @param root where the libraries are looked for: the root of the system that the program belongs to
 */
export async function writeImage(name: string, program: string, root: string, archive: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'kube-mtls-image-'));
  try {
    const layer = join(folder, 'layer');
    await put(program, join(layer, 'bin', basename(program)));
    for (const library of await librariesOf(program, root)) await put(join(root, library), join(layer, library));
    await tar(layer, join(folder, 'layer.tar'), ['.']);
    const digest = createHash('sha256')
      .update(await readFile(join(folder, 'layer.tar')))
      .digest('hex');
    const config = JSON.stringify({
      ...{ architecture: 'amd64', os: 'linux' },
      config: { Entrypoint: [`/bin/${basename(program)}`], Env: ['PATH=/bin'] },
      rootfs: { type: 'layers', diff_ids: [`sha256:${digest}`] },
    });
    const configName = `${createHash('sha256').update(config).digest('hex')}.json`;
    await writeFile(join(folder, configName), config);
    const manifest = [{ Config: configName, RepoTags: [name], Layers: ['layer.tar'] }];
    await writeFile(join(folder, 'manifest.json'), JSON.stringify(manifest));
    await mkdir(dirname(archive), { recursive: true });
    await tar(folder, archive, [configName, 'layer.tar', 'manifest.json']);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function put(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  await copyFile(from, to);
}

/** Paths below the root; none for a static program. */
async function librariesOf(program: string, root: string): Promise<string[]> {
  const inside = program.startsWith(`${root}/`) ? program.slice(root.length) : undefined;
  const argv = inside === undefined ? (['ldd', program] as const) : (['chroot', root, 'ldd', inside] as const);
  const { stdout } = await runCommand(argv);
  return [...stdout.matchAll(/(\/\S+) \(0x/g)].flatMap(([, path]) => path ?? []);
}

async function tar(folder: string, archive: string, names: readonly string[]): Promise<void> {
  await runChecked(runCommand, ['tar', '--owner=0', '--group=0', '-cf', archive, '-C', folder, ...names], {
    timeoutMs: 120_000,
  });
}
