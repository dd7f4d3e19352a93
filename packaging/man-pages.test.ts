import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { parseAgentConfig } from '../agent/config/agent-config.ts';
import { runChecked, runCommand } from '../common/run/command.ts';
import { parseServerConfig } from '../server/config/server-config.ts';
import { bundle } from './bundle.ts';
import { packages } from './package-definitions.ts';

const repository = join(import.meta.dirname, '..');

/** The text without what roff needs. */
async function manPage(name: string): Promise<string> {
  const text = await readFile(join(repository, 'packaging/man', name), 'utf8');
  return text.replaceAll('\\-', '-').replaceAll('\\~', ' ');
}

/** Names in the list of commands of a help text. */
function commandsOf(text: string): string[] {
  const [, list = ''] = text.split('\nCommands:\n');
  const names = [...list.matchAll(/^ {2}([a-z][a-z-]*)/gm)].flatMap(([, name]) => name ?? []);
  return names.filter((name) => name !== 'help');
}

/**
 * Every word that a person may type, from the help of the program and of its commands. A program is started once for each; what Node.js
 * compiles of it the first time lies beside it afterwards.
 */
async function wordsOf(program: string, path: readonly string[] = []): Promise<string[]> {
  const cache = `NODE_COMPILE_CACHE=${dirname(program)}`;
  const text = await runChecked(runCommand, ['env', cache, process.execPath, program, ...path, '--help']);
  const options = text.match(/--[a-z][a-z-]*/g) ?? [];
  const below: string[] = [];
  for (const name of commandsOf(text)) below.push(...(await wordsOf(program, [...path, name])));
  return [...new Set([...path.slice(-1), ...options, ...below])];
}

describe('man pages', () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'man-pages-'));
  });
  after(() => rm(folder, { recursive: true }));

  for (const { name, entryPoint } of packages.flatMap(({ programs }) => programs)) {
    it(`name every command and option of ${name}`, async () => {
      const page = await manPage(name === 'kube-mtls' ? 'kube-mtls.1' : `${name}.8`);
      const program = join(folder, `${name}.mjs`);
      await writeFile(program, (await bundle(repository, entryPoint)).code);
      const words = await wordsOf(program);
      assert.ok(words.length > 8, words.join(' '));
      const everywhere = ['--help', '--version'];
      assert.deepEqual(
        words.filter((word) => !everywhere.includes(word) && !page.includes(word)),
        [],
      );
    });
  }

  it('name every field of agent.yaml', async () => {
    const page = await manPage('kube-mtls-agent.yaml.5');
    const fields = Object.keys(parseAgentConfig('mode: observe', 'x'));
    assert.deepEqual(
      fields.filter((field) => !page.includes(`.B ${field}\n`)),
      [],
    );
  });

  it('name every field of server.yaml', async () => {
    const page = await manPage('kube-mtls-server.yaml.5');
    const config = parseServerConfig('cluster: {name: a, apiEndpoint: "b:1"}\nadvertise: [c]\n', 'x');
    // derived, not read; Ms is how the program names durations
    const fields = fieldsOf(config).filter((field) => field !== 'cluster.serviceAddress');
    assert.deepEqual(
      fields
        .map((field) => field.replace(/Ms$/, ''))
        .filter((field) => !new RegExp(`^\\.BR?.*\\b${field}\\b`, 'm').test(page)),
      [],
    );
  });
});

/** Dotted names of the fields of a map; a map without a field, a list and an endpoint are one field. */
function fieldsOf(map: object, prefix = ''): string[] {
  return Object.entries(map).flatMap(([key, value]: [string, unknown]) => {
    const isMap = typeof value === 'object' && value !== null && !Array.isArray(value) && !('port' in value);
    return isMap && Object.keys(value).length > 0 ? fieldsOf(value, `${prefix}${key}.`) : [`${prefix}${key}`];
  });
}
