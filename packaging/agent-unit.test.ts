import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { runCommand } from '../common/run/command.ts';

const NOBODY = 65_534;

describe('kube-mtls-agent.service', () => {
  it("lets the agent end a container's process that is another user's, as an undo does", async (test) => {
    if (process.geteuid?.() !== 0) return test.skip('only root can start a process as somebody else');
    const unit = await readFile(join(import.meta.dirname, 'agent/kube-mtls-agent.service'), 'utf8');
    const [, names = ''] = /^CapabilityBoundingSet=(.+)$/m.exec(unit) ?? [];
    const kept = names.split(' ').map((name) => `+${name.replace(/^CAP_/, '').toLowerCase()}`);
    const other = spawn('sleep', ['60'], { uid: NOBODY, stdio: 'ignore' });
    await once(other, 'spawn');
    try {
      const confined = ['setpriv', `--bounding-set=-all,${kept.join(',')}`, '--inh-caps=-all'] as const;
      const { code, stderr } = await runCommand([...confined, 'sh', '-c', 'kill -TERM "$0"', String(other.pid)]);
      assert.equal(code, 0, stderr);
    } finally {
      other.kill('SIGKILL');
    }
  });
});
