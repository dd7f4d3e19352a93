import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { runCommand } from '../common/run/command.ts';

const NOBODY = 65_534;

/** A command's first words with which it has the capabilities that the unit leaves the agent. */
async function confinement(): Promise<[string, ...string[]]> {
  const unit = await readFile(join(import.meta.dirname, 'agent/kube-mtls-agent.service'), 'utf8');
  const [, names = ''] = /^CapabilityBoundingSet=(.+)$/m.exec(unit) ?? [];
  const kept = names.split(' ').map((name) => `+${name.replace(/^CAP_/, '').toLowerCase()}`);
  return ['setpriv', `--bounding-set=-all,${kept.join(',')}`, '--inh-caps=-all'];
}

describe('kube-mtls-agent.service', () => {
  it("lets the agent end a container's process that is another user's, as an undo does", async (test) => {
    if (process.geteuid?.() !== 0) return test.skip('only root can start a process as somebody else');
    const confined = await confinement();
    const other = spawn('sleep', ['60'], { uid: NOBODY, stdio: 'ignore' });
    await once(other, 'spawn');
    try {
      const { code, stderr } = await runCommand([...confined, 'sh', '-c', 'kill -TERM "$0"', String(other.pid)]);
      assert.equal(code, 0, stderr);
    } finally {
      other.kill('SIGKILL');
    }
  });

  it('lets the agent see which sockets an API server holds, which has more rights than the agent', async (test) => {
    if (process.geteuid?.() !== 0) return test.skip('only root can take rights from itself');
    const other = spawn('sleep', ['60'], { stdio: 'ignore' });
    await once(other, 'spawn');
    try {
      const { code, stderr } = await runCommand([...(await confinement()), 'readlink', `/proc/${other.pid}/fd/0`]);
      assert.equal(code, 0, stderr);
    } finally {
      other.kill('SIGKILL');
    }
  });
});
