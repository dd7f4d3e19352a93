import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { parseAgentConfig } from '../agent/config/agent-config.ts';

describe('agent.yaml of the package', () => {
  const path = join(import.meta.dirname, 'agent/agent.yaml');

  it('changes no default', async () => {
    assert.deepEqual(parseAgentConfig(await readFile(path, 'utf8'), path), parseAgentConfig('', path));
  });

  it('names every field with its default', async () => {
    const inForce = (await readFile(path, 'utf8')).replace(/^#(?! )/gm, '');
    assert.deepEqual(parseAgentConfig(inForce, path), { ...parseAgentConfig('', path), mode: 'enforce' });
    const fields = inForce.match(/^\w+(?=:)/gm);
    assert.deepEqual(fields?.toSorted(), Object.keys(parseAgentConfig('mode: enforce', path)).toSorted());
  });
});
