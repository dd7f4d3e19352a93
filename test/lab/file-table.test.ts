import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { generateKey } from '../../common/x509/keys.ts';
import { changedFiles, fileTable, listFiles, lostFiles, unreadFiles } from './file-table.ts';

const PKI = '/etc/kubernetes/pki';

describe('listFiles', () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'kube-mtls-files-'));
    mkdirSync(join(root, PKI), { recursive: true });
  });
  afterEach(() => rmSync(root, { recursive: true }));
  const write = (path: string, text: string) => writeFileSync(join(root, path), text);
  const content = (path: string) => listFiles({ root }).get(path)?.content;

  it('tells a key from another that replaced it, and none of either', async () => {
    const keys = await Promise.all([generateKey('ecdsa-p256'), generateKey('ecdsa-p256')]);
    const seen = keys.map(({ pem }) => {
      write(`${PKI}/sa.key`, pem);
      return content(`${PKI}/sa.key`)?.join() ?? '';
    });
    assert.match(seen[0] ?? '', /^a key, sha256 [0-9a-f]{16}$/);
    assert.notEqual(seen[0], seen[1]);
    assert.equal(content(`${PKI}/sa.pub`), undefined);
  });

  it('follows a link from the root of the host, however it is written', async () => {
    const { pem } = await generateKey('ecdsa-p256');
    write(`${PKI}/first.pem`, pem);
    symlinkSync(`${PKI}/first.pem`, join(root, PKI, 'absolute.pem'));
    symlinkSync('absolute.pem', join(root, PKI, 'relative.pem'));
    assert.deepEqual(content(`${PKI}/relative.pem`), content(`${PKI}/first.pem`));
  });

  it('tells what cannot be read rather than to leave it out', () => {
    symlinkSync('nowhere', join(root, PKI, 'dangling.crt'));
    symlinkSync('loop.crt', join(root, PKI, 'loop.crt'));
    write(`${PKI}/broken.crt`, '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n');
    write('/etc/kubernetes/admin.conf', `kind: Config\nusers: [{user: {client-certificate-data: ${btoa('none')}}}]\n`);
    const unread = unreadFiles(listFiles({ root })).sort().join('\n');
    assert.match(unread, /admin\.conf: .*\n.*broken\.crt: .*\n.*dangling\.crt: .*ENOENT.*\n.*loop\.crt: .*ELOOP/);
  });

  it('tells the files below a folder that are new, gone, or other than before', async () => {
    for (const name of ['ca.key', 'sa.key', 'old.key']) write(`${PKI}/${name}`, (await generateKey('ecdsa-p256')).pem);
    const before = listFiles({ root });
    assert.deepEqual(changedFiles(before, listFiles({ root }), PKI), []);
    write(`${PKI}/sa.key`, (await generateKey('ecdsa-p256')).pem);
    renameSync(join(root, PKI, 'old.key'), join(root, PKI, 'new.key'));
    write('/etc/kubernetes/pki.yaml', 'a: b\n');
    const changed = changedFiles(before, listFiles({ root }), PKI);
    assert.deepEqual(
      changed,
      ['new.key', 'old.key', 'sa.key'].map((name) => `${PKI}/${name}`),
    );
  });

  it('shows what a file held before and after', () => {
    write('/etc/kubernetes/a.yaml', 'clientCAFile: /etc/kubernetes/pki/ca.crt\n');
    const before = listFiles({ root });
    renameSync(join(root, '/etc/kubernetes/a.yaml'), join(root, '/etc/kubernetes/b.yaml'));
    assert.deepEqual(lostFiles(before, listFiles({ root })), ['/etc/kubernetes/a.yaml']);
    const table = fileTable(before, listFiles({ root }));
    assert.match(
      table,
      /a\.yaml .*\n {4}clientCAFile: \S+ca\.crt\n -> \(no file\)\n.*b\.yaml .*\n {4}\(no file\)\n -> clientCAFile/,
    );
  });
});
