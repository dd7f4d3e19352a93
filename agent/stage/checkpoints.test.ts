import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, beforeEach, describe, it } from 'node:test';
import { layoutBelow } from '../layout.ts';
import { createCheckpoint } from './checkpoints.ts';

const root = mkdtempSync(join(tmpdir(), 'kube-mtls-checkpoints-'));
after(() => rmSync(root, { recursive: true }));
const layout = layoutBelow(root);
const allowFile = join(dirname(layout.controlSocket), 'allow-crash-tests');

async function kills(environment: NodeJS.ProcessEnv): Promise<number> {
  let count = 0;
  const checkpoint = createCheckpoint(layout, environment, () => count++);
  for (const name of ['staged', 'switched', 'switched'] as const) await checkpoint(name);
  return count;
}

describe('createCheckpoint', () => {
  beforeEach(() => {
    rmSync(dirname(allowFile), { recursive: true, force: true });
    mkdirSync(dirname(allowFile), { recursive: true });
  });

  it('does nothing without the variable, though root allowed it', async () => {
    writeFileSync(allowFile, '');
    assert.equal(await kills({}), 0);
    assert.equal(await kills({ KUBE_MTLS_CRASH_AT: '' }), 0);
  });

  it('does nothing without the file, though the variable is set', async () => {
    assert.equal(await kills({ KUBE_MTLS_CRASH_AT: 'switched' }), 0);
  });

  it('kills once for each time that it is allowed', async () => {
    writeFileSync(allowFile, '');
    assert.equal(await kills({ KUBE_MTLS_CRASH_AT: 'switched' }), 1);
    assert.ok(!existsSync(allowFile));
    assert.equal(await kills({ KUBE_MTLS_CRASH_AT: 'switched' }), 0);
  });

  it('ends the process by SIGKILL in production', () => {
    writeFileSync(allowFile, '');
    const code = `
      import { createCheckpoint } from '${new URL('./checkpoints.ts', import.meta.url)}';
      import { layoutBelow } from '${new URL('../layout.ts', import.meta.url)}';
      await createCheckpoint(layoutBelow(process.argv[1]))('staged');
      await new Promise((resolve) => setTimeout(resolve, 10_000));`;
    const child = spawnSync(process.execPath, ['--input-type=module', '-e', code, root], {
      env: { ...process.env, KUBE_MTLS_CRASH_AT: 'staged' },
    });
    assert.equal(child.signal, 'SIGKILL');
  });
});
