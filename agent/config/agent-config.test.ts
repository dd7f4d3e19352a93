import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { loadAgentConfig, parseAgentConfig } from './agent-config.ts';

const defaults = { logLevel: 'info', keyAlgorithm: 'ecdsa-p256', reconcileInterval: 300_000 };

describe('agent configuration', () => {
  it('has a default for everything, and leaves the mode to what join recorded', () => {
    const { mode, ...config } = parseAgentConfig('', 'agent.yaml');
    assert.equal(mode, undefined);
    for (const [name, value] of Object.entries(defaults)) assert.equal(Reflect.get(config, name), value, name);
  });

  it('reads what an operator says', () => {
    const text = 'mode: observe\nlogLevel: debug\nkeyAlgorithm: rsa-3072\nreconcileInterval: 1m\n';
    const { mode, logLevel, keyAlgorithm, reconcileInterval } = parseAgentConfig(text, 'agent.yaml');
    assert.deepEqual([mode, logLevel, keyAlgorithm, reconcileInterval], ['observe', 'debug', 'rsa-3072', 60_000]);
  });

  const refused: [text: string, words: RegExp][] = [
    ['mode: watch\n', /^agent\.yaml:1: mode: /],
    ['\nkeyAlgorithm: rsa-1024\n', /^agent\.yaml:2: keyAlgorithm: /],
    ['reconcileInterval: 5\n', /reconcileInterval/],
    ['reconcileInterval: 1s\n', /10s to 24h/],
    ['observe: true\n', /unknown field observe/],
  ];
  for (const [text, message] of refused) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(() => parseAgentConfig(text, 'agent.yaml'), { reason: 'invalid-request', message });
    });
  }

  it('may be absent, but not unreadable', async (test) => {
    const folder = mkdtempSync(join(tmpdir(), 'kube-mtls-config-'));
    test.after(() => rmSync(folder, { recursive: true }));
    const path = join(folder, 'agent.yaml');
    assert.deepEqual(await loadAgentConfig(path), parseAgentConfig('', path));
    writeFileSync(path, 'logLevel: warn\n');
    assert.equal((await loadAgentConfig(path)).logLevel, 'warn');
    await assert.rejects(loadAgentConfig(folder), { reason: 'internal' });
  });
});
