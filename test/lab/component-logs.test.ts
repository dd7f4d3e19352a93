import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { describe, it } from 'node:test';
import { alarmsOf } from './component-logs.ts';

/** A host whose journalctl is this script. */
function hostOf(script: string) {
  const argvs: (readonly string[])[] = [];
  return {
    ...{ name: 'cp1', root: '/proc/4711/root', argvs },
    sh: async () => '',
    spawnBeside(argv: readonly string[]) {
      argvs.push(argv);
      return spawn('bash', ['-c', script], { stdio: ['pipe', 'pipe', 'inherit'] });
    },
  };
}

const entry = (message: string) =>
  JSON.stringify({
    __CURSOR: 's=1',
    __REALTIME_TIMESTAMP: '1795519998821000',
    _SYSTEMD_UNIT: 'etcd.service',
    MESSAGE: message,
  });
const GOOD = entry(`all is well ${'x'.repeat(1000)}`);
const BAD = entry('Error: x509: certificate signed by unknown authority');

describe('alarmsOf', () => {
  it('reads a journal of more than a command may print, line by line', async () => {
    const host = hostOf(`yes '${GOOD}' | head -n 20000; printf '%s\\n' "$1"; yes '${GOOD}' | head -n 100`);
    const { lines, alarms } = await alarmsOf(host, 'etcd', { unit: 'etcd.service' }, 1_795_519_990_001);
    assert.deepEqual([lines, alarms], [20_100, []]);
    assert.deepEqual(host.argvs[0]?.slice(0, 5), ['nsenter', '-t', '4711', '-a', 'journalctl']);
    assert.deepEqual(host.argvs[0]?.slice(-4), ['--unit', 'etcd.service', '--since', '@1795519991']);
  });

  it('tells the lines that are taken for a failure', async () => {
    const host = hostOf(`cat <<'END'\n${GOOD}\n${BAD}\nno JSON\nEND`);
    const { lines, alarms } = await alarmsOf(host, 'kubelet', { unit: 'kubelet.service' }, 0);
    assert.equal(lines, 2);
    assert.deepEqual(
      alarms.map(({ line }) => line),
      ['Error: x509: certificate signed by unknown authority'],
    );
  });

  it('fails when journalctl does, rather than to find nothing wrong', async () => {
    const words = /^on cp1: journalctl .* ended with status 3$/;
    await assert.rejects(alarmsOf(hostOf('exit 3'), 'etcd', { unit: 'etcd.service' }, 0), { message: words });
  });
});
