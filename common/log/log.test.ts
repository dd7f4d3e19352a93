import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { redact } from './log.ts';

const secret = '0123456789abcdefghijklmnopqrstuv';
const token = `a1b2c3d4.${secret}`;
const key = `-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49\n-----END PRIVATE KEY-----\n`;

/** What a process writes that logs this way; `log` and `AppError` are at hand. */
function run(code: string, level = 'debug', prefix = false): string[] {
  const script = `
    import { createLog } from ${JSON.stringify(new URL('./log.ts', import.meta.url).href)};
    import { AppError } from ${JSON.stringify(new URL('../errors/app-error.ts', import.meta.url).href)};
    const log = createLog(${JSON.stringify(level)}, ${prefix});
    ${code}`;
  const { stdout, stderr, status } = spawnSync(process.execPath, ['--input-type=module', '--eval', script]);
  assert.deepEqual([status, stdout.toString()], [0, ''], stderr.toString());
  return stderr.toString().trim().split('\n');
}

describe('redact', () => {
  const secrets: [what: string, text: string, left: string][] = [
    ['a token', `no token ${token} here`, 'no token a1b2c3d4.[redacted] here'],
    ['a token at the ends of a text', token, 'a1b2c3d4.[redacted]'],
    ['a token after a line break', `x\n${token}\ny`, 'x\na1b2c3d4.[redacted]\ny'],
    ['a token in the middle of a word', `token_${token}`, 'token_a1b2c3d4.[redacted]'],
    ['a token in capitals', token.toUpperCase(), 'A1B2C3D4.[redacted]'],
    ['a longer token', `${token}${secret}`, 'a1b2c3d4.[redacted]'],
    ['several tokens', `${token} ${token}`, 'a1b2c3d4.[redacted] a1b2c3d4.[redacted]'],
    ['a key', `before ${key}after`, 'before [redacted private key]\nafter'],
    ['an encrypted key', key.replaceAll('PRIVATE', 'ENCRYPTED PRIVATE'), '[redacted private key]\n'],
    ['a key of one kind', key.replaceAll('PRIVATE', 'EC PRIVATE'), '[redacted private key]\n'],
    ['a key that was cut off', `x ${key.slice(0, 40)}`, 'x [redacted private key]'],
    ['two keys', `${key}between ${key}`, '[redacted private key]\nbetween [redacted private key]\n'],
    ['an embedded key', 'client-key-data: c2VjcmV0==\nuser: x', 'client-key-data: [redacted]\nuser: x'],
    ['an embedded key in JSON', '{"client-key-data":"c2VjcmV0"}', '{"client-key-data":"[redacted]"}'],
  ];
  for (const [what, text, left] of secrets) it(`takes out ${what}`, () => assert.equal(redact(text), left));

  const harmless = [
    'kubelet.service on w1.example.org',
    `a digest sha256:${'ab'.repeat(32)}`,
    'the token a1b2c3d4 has expired',
    '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n',
    'k8s.io/client-go@v0.20.2/tools/cache/reflector.go:167',
  ];
  for (const text of harmless) it(`leaves "${text.slice(0, 40)}"`, () => assert.equal(redact(text), text));
});

describe('createLog', () => {
  it('writes one line of JSON, with the priority for the journal', () => {
    const [line = ''] = run("log.warn('unit restarted', { unit: 'etcd.service', detail: 'a\\nb' })", 'info', true);
    assert.equal(line.slice(0, 3), '<4>');
    const { at, ...entry } = JSON.parse(line.slice(3));
    assert.deepEqual(entry, { level: 'warn', message: 'unit restarted', unit: 'etcd.service', detail: 'a\nb' });
    assert.match(at, /^\d{4}-\d\d-\d\dT/);
  });

  it('writes nothing below its level', () => {
    const lines = run("log.debug('x'); log.info('x'); log.warn('y'); log.error('z')", 'warn');
    assert.deepEqual(
      lines.map((line) => JSON.parse(line).message),
      ['y', 'z'],
    );
  });

  it('tells the causes of an error and its reason', () => {
    const [line = ''] = run(`
      const cause = new Error('ECONNREFUSED', { cause: 'no route' });
      log.error('call failed', { error: new AppError('unavailable', 'no answer', { cause }) });`);
    const { error, reason } = JSON.parse(line);
    assert.deepEqual([error, reason], ['no answer: ECONNREFUSED: no route', 'unavailable']);
  });

  it('lets no secret through, wherever it stands, and the line stays JSON', () => {
    const lines = run(`
      const token = ${JSON.stringify(token)};
      const key = ${JSON.stringify(key)};
      log.error('x ' + token);
      log.error('x', { detail: 'line one\\n' + token, line: key });
      log.error('x', { error: new Error('refused:\\n' + token + '\\n' + key) });
      log.error('x', { error: new AppError('internal', 'y', { cause: new Error(key.slice(0, 50) + token) }) });
      log.error('x', { error: 'thrown ' + token });`);
    assert.equal(lines.length, 5);
    for (const line of lines) {
      assert.ok(!line.includes(secret) && !line.includes('MIGHAgEA'), line);
      assert.match(line, /redacted/);
      JSON.parse(line);
    }
  });

  it('survives an error that is its own cause', () => {
    const [line = ''] = run("const error = new Error('x'); error.cause = error; log.error('y', { error });");
    assert.equal(JSON.parse(line).error, 'x: x: x: x: x');
  });
});
