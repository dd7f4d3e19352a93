/** Small programs in C of this folder, compiled once for each of their texts. */
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { runChecked, runCommand } from '../../common/run/command.ts';
import { installPackages } from './debian-packages.ts';
import { makeOnce } from './made-once.ts';
import { hashOf, LAB } from './places.ts';

/** Compiles `NAME.c` of this folder, and returns the path of the program, or of the library when it ends in .so. */
export async function compile(name: string, say: (text: string) => void): Promise<string> {
  const source = join(import.meta.dirname, `${basename(name, '.so')}.c`);
  const folder = join(LAB, 'programs', `${name}-${hashOf(await readFile(source))}`);
  await makeOnce(folder, async (unfinished) => {
    await installPackages(['gcc', 'libc6-dev'], say);
    const kind = name.endsWith('.so') ? ['-shared', '-fPIC'] : [];
    await runChecked(runCommand, ['cc', '-O2', '-Wall', '-Wextra', ...kind, '-o', join(unfinished, name), source]);
  });
  return join(folder, name);
}
