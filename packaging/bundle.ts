/** Makes one file of a program and all that it imports, and lists what else the program reads at run time. */
import { readFile } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import { build, type Plugin } from 'esbuild';

/** A bundled program. */
export interface Bundle {
  code: Uint8Array;
  /** Folders of the npm packages in it, relative to the repository: "node_modules/@grpc/grpc-js". */
  packageFolders: string[];
  /** Files and folders that packages in it read at run time; they belong beside the bundle under the same relative path. */
  runtimePaths: string[];
}

/**
 * What packages read from their own folder at run time, relative to it. A package that asks for its folder and does
 * not stand here fails the build, so that no upgrade of a dependency goes wrong on a node first.
 */
const readAtRunTime: Record<string, readonly string[]> = {
  'node_modules/@grpc/grpc-js': ['proto'],
  'node_modules/@grpc/reflection': ['build/proto/grpc'],
};

/** Packages of CommonJS expect require(); a package's own folder lies below the bundle's. */
const banner = `import { createRequire as __createRequire } from 'node:module';
import { join as __join } from 'node:path';
const require = __createRequire(import.meta.url);
const __packageFolder = (folder) => __join(import.meta.dirname, folder);`;

/**
 * Bundles an entry point for the Node.js of the packages. The modules use top-level await, so that the bundle is one too.
 *
 * @param repository - folder that holds node_modules
 * @param entryPoint - relative to it
 * @throws Error when something cannot be resolved, or asks for its folder and is not known to
 */
export async function bundle(repository: string, entryPoint: string): Promise<Bundle> {
  const askers = new Set<string>();
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
    plugins: [ownFolders(repository, askers)],
    logLevel: 'silent', // what is wrong is thrown
  });
  const problems = result.warnings.map(({ text, location }) => `${location?.file ?? entryPoint}: ${text}`);
  const unknown = [...askers].filter((folder) => !Object.hasOwn(readAtRunTime, folder));
  for (const folder of unknown) problems.push(`${folder} reads files of its own at run time: see packaging/bundle.ts`);
  const [output] = result.outputFiles;
  if (output === undefined || problems.length > 0) throw new Error(`${entryPoint}: ${problems.join('; ')}`);
  const inputs = Object.keys(result.metafile.inputs);
  return {
    code: output.contents,
    packageFolders: [...new Set(inputs.flatMap((path) => packageFolder(path) ?? []))].sort(),
    runtimePaths: [...askers].sort().flatMap((folder) => (readAtRunTime[folder] ?? []).map((path) => join(folder, path))),
  };
}

/** Folder of the npm package that a file belongs to; undefined for our own files. */
export function packageFolder(path: string): string | undefined {
  return /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path.split(sep).join('/'))?.[0];
}

/** Gives a package that asks for __dirname its folder below the bundle's folder. */
function ownFolders(repository: string, askers: Set<string>): Plugin {
  return {
    name: 'own-folders',
    setup({ onLoad }) {
      onLoad({ filter: /node_modules\/.*\.c?js$/ }, async ({ path }) => {
        const text = await readFile(path, 'utf8');
        const replaced = text.replaceAll(/(?<=[(,]\s*|\$\{)__dirname\b/g, () => {
          const folder = relative(repository, dirname(path));
          askers.add(packageFolder(folder) ?? folder);
          return `__packageFolder(${JSON.stringify(folder)})`;
        });
        return { contents: replaced, loader: 'js' };
      });
    },
  };
}
