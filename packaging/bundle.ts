/** Makes one file of a program and all that it imports, and lists what else the program reads at run time. */
import { readFile } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import { build, type Plugin } from 'esbuild';

/** A bundled program. */
export interface Bundle {
  /** Module of JavaScript, for a file that ends in .mjs. */
  code: Uint8Array;
  /** Folders of the npm packages in it, relative to the repository: "node_modules/@grpc/grpc-js". */
  packageFolders: string[];
  /** Files and folders that packages in it read at run time; they belong beside the bundle, under the same relative path. */
  runtimePaths: string[];
}

/**
 * What packages read from their own folder at run time, relative to it. A package that asks for its folder and does
 * not stand here fails the build, so that an upgrade of a dependency does not go wrong on a node first.
 */
const readAtRunTime: Record<string, readonly string[]> = {
  'node_modules/@grpc/grpc-js': ['proto'],
  'node_modules/@grpc/reflection': ['build/proto/grpc'],
};

/** Packages in CommonJS expect require(). */
const banner = `import { createRequire as __createRequire } from 'node:module';
import { join as __join } from 'node:path';
const require = __createRequire(import.meta.url);
const __packageFolder = (folder) => __join(import.meta.dirname, folder);`;

/** Stands wherever code asks for a folder that it will not have. */
const UNKNOWN = '__unknownPackageFolder';

/**
 * Bundles an entry point for the Node.js of the packages, as a module, since entry points await at top level.
 *
 * @param repository - folder that holds node_modules
 * @param entryPoint - relative to it
 * @throws Error when something cannot be resolved, or asks for a folder of its own and is not known to
 */
export async function bundle(repository: string, entryPoint: string): Promise<Bundle> {
  const result = await build({
    absWorkingDir: repository,
    entryPoints: [entryPoint],
    bundle: true,
    write: false,
    metafile: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    charset: 'utf8',
    legalComments: 'none', // the licences stand in third-party-notices
    banner: { js: banner },
    define: { __dirname: UNKNOWN, __filename: UNKNOWN },
    plugins: [ownFolders(repository)],
    logLevel: 'silent', // what is wrong is thrown
  });
  const [output] = result.outputFiles;
  if (output === undefined) throw new Error(`${entryPoint}: esbuild wrote nothing`);
  const problems = result.warnings.map(({ text, location }) => `${location?.file ?? entryPoint}: ${text}`);
  if (output.text.includes(UNKNOWN)) {
    problems.push('a package reads files of its own at run time and does not stand in packaging/bundle.ts');
  }
  if (problems.length > 0) throw new Error(`${entryPoint}: ${problems.join('; ')}`);
  const folders = new Set(Object.keys(result.metafile.inputs).flatMap((path) => packageFolder(path) ?? []));
  const packageFolders = [...folders].sort();
  return {
    code: output.contents,
    packageFolders,
    runtimePaths: packageFolders.flatMap((folder) => (readAtRunTime[folder] ?? []).map((path) => join(folder, path))),
  };
}

/** Folder of the npm package that a file belongs to, relative as the file is; undefined for our own files. */
export function packageFolder(path: string): string | undefined {
  return /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path.split(sep).join('/'))?.[0];
}

/** Tells the packages above their folders, which lie below the bundle's. */
function ownFolders(repository: string): Plugin {
  return {
    name: 'own-folders',
    setup({ onLoad }) {
      onLoad({ filter: /\/node_modules\/.*\.js$/ }, async ({ path }) => {
        const folder = relative(repository, dirname(path));
        if (!Object.hasOwn(readAtRunTime, packageFolder(folder) ?? '')) return undefined; // esbuild loads it
        const text = await readFile(path, 'utf8');
        return { contents: `const __dirname = __packageFolder(${JSON.stringify(folder)});\n${text}`, loader: 'js' };
      });
    },
  };
}
