import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { runChecked, runCommand } from '../common/run/command.ts';
import { bundle, packageFolder } from './bundle.ts';

describe('bundle', () => {
  let repository: string;
  beforeEach(async () => {
    repository = await mkdtemp(join(tmpdir(), 'bundle-'));
  });
  afterEach(() => rm(repository, { recursive: true }));

  const write = async (files: Record<string, string>) => {
    for (const [path, content] of Object.entries(files)) {
      await mkdir(dirname(join(repository, path)), { recursive: true });
      await writeFile(join(repository, path), content);
    }
  };

  it('gives a package the folder that it will have beside the bundle', async () => {
    await write({
      'main.ts': `import at from '@grpc/grpc-js';\nconst { readFileSync } = await import('node:fs');\nconsole.log(readFileSync(at, 'utf8'));\n`,
      'node_modules/@grpc/grpc-js/build/index.js': `"use strict"; module.exports = require('path').join(__dirname, '../proto/a.proto');`,
      'node_modules/@grpc/grpc-js/package.json': '{"main": "build/index.js"}',
    });
    const { code, packageFolders, runtimePaths } = await bundle(repository, 'main.ts');
    assert.deepEqual(packageFolders, ['node_modules/@grpc/grpc-js']);
    assert.deepEqual(runtimePaths, ['node_modules/@grpc/grpc-js/proto']);
    const installed = join(repository, 'elsewhere');
    await write({ 'elsewhere/node_modules/@grpc/grpc-js/proto/a.proto': 'found' });
    await writeFile(join(installed, 'main.mjs'), code);
    assert.equal(await runChecked(runCommand, [process.execPath, join(installed, 'main.mjs')]), 'found\n');
  });

  it('refuses a package that reads files of its own and is not known to', async () => {
    await write({
      'main.ts': `import 'other';\n`,
      'node_modules/other/index.js': `require('fs').readFileSync(__dirname + '/words.txt');`,
    });
    await assert.rejects(bundle(repository, 'main.ts'), /main\.ts: a package reads files of its own at run time/);
  });

  it('lets a package speak of __dirname in comments and texts', async () => {
    await write({
      'main.ts': `import 'other';\n`,
      'node_modules/other/index.js': `// __dirname\nmodule.exports = 'use __dirname';`,
    });
    assert.deepEqual((await bundle(repository, 'main.ts')).runtimePaths, []);
  });

  it('refuses an import that leads nowhere', async () => {
    await write({ 'main.ts': `import 'nowhere';\n` });
    await assert.rejects(bundle(repository, 'main.ts'), /Could not resolve "nowhere"/);
  });
});

describe('packageFolder', () => {
  const rows: [path: string, folder: string | undefined][] = [
    ['node_modules/ms/index.js', 'node_modules/ms'],
    ['node_modules/@grpc/grpc-js/build/src/index.js', 'node_modules/@grpc/grpc-js'],
    ['node_modules/a/node_modules/b/c.js', 'node_modules/a/node_modules/b'],
    ['agent/main.ts', undefined],
    ['my_node_modules/a.js', undefined],
  ];
  for (const [path, folder] of rows) it(`of ${path} is ${folder}`, () => assert.equal(packageFolder(path), folder));
});
