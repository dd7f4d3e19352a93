import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { runChecked, runCommand } from './command.ts';

describe('runCommand', () => {
  it('gives output, error output and status, without a shell', async () => {
    const script = 'process.stdout.write(process.argv[1]); process.stderr.write("e"); process.exit(3)';
    const result = await runCommand([process.execPath, '-e', script, '$HOME; `id`']);
    assert.deepEqual(result, { code: 3, stdout: '$HOME; `id`', stderr: 'e' });
  });

  it('hands over the input, also to a program that does not read it', async () => {
    assert.equal((await runCommand(['cat'], { input: 'text' })).stdout, 'text');
    assert.equal((await runCommand(['true'], { input: 'x'.repeat(1_000_000) })).code, 0);
  });

  it('tells which signal ended the program', async () => {
    const result = await runCommand([process.execPath, '-e', 'process.kill(process.pid, "SIGTERM")']);
    assert.equal(result.code, 128 + 15);
  });

  it('rejects not-found without such a program', async () => {
    await assert.rejects(runCommand(['/no/such/program']), { reason: 'not-found', message: /no program \/no\/such/ });
  });

  it('rejects deadline past the limit, even when a child of the program lives on', { timeout: 60_000 }, async () => {
    const started = performance.now();
    const command = ['sh', '-c', 'sleep 30 & wait'] as const;
    await assert.rejects(runCommand(command, { timeoutMs: 50 }), { reason: 'deadline', message: /in time/ });
    assert.ok(performance.now() - started < 20_000, 'it waited for the child, which sleeps for 30 s');
  });

  it('ends a program that writes without end, to either output', { timeout: 10_000 }, async () => {
    for (const command of [['yes'], ['sh', '-c', 'yes >&2']] as const) {
      const expected = { reason: 'unavailable', message: /wrote more than 100000 bytes/ };
      await assert.rejects(runCommand(command, { mostBytes: 100_000 }), expected);
    }
  });

  it('rejects when the signal fires, before or during the run', { timeout: 10_000 }, async () => {
    const stop = new AbortController();
    const running = assert.rejects(runCommand(['sleep', '20'], { signal: stop.signal }), { reason: 'unavailable' });
    stop.abort();
    await running;
    await assert.rejects(runCommand(['sleep', '20'], { signal: stop.signal }), { reason: 'unavailable' });
  });
});

describe('runChecked', () => {
  const answer = (code: number) => async () => ({ code, stdout: 'out', stderr: ' no such unit\n' });

  it('gives the output of a program that succeeds', async () => {
    assert.equal(await runChecked(answer(0), ['systemctl', 'show']), 'out');
  });

  it('rejects unavailable with what a program wrote that fails', async () => {
    const message = 'systemctl show failed (4): no such unit';
    await assert.rejects(runChecked(answer(4), ['systemctl', 'show']), { reason: 'unavailable', message });
  });
});
