import assert from 'node:assert/strict';
import { copyFileSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { AppError, type Reason } from '../../common/errors/app-error.ts';
import { authorities as words } from '../../common/names/names.ts';
import { keyMatches, parseCertificate } from '../../common/x509/certificate.ts';
import { generateKey, loadKey } from '../../common/x509/keys.ts';
import { fewIterations } from '../../common/x509/x509-for-tests.ts';
import { loadAuthorities } from './authorities.ts';
import { importAuthority } from './import-authority.ts';
import { emptyPki, type KubeadmPki, kubeadmPki } from './kubeadm-pki-for-tests.ts';
import { type MakeAuthoritiesOptions, makeAuthorities } from './make-authorities.ts';
import { makePassphrase, readPassphrase } from './passphrase.ts';

/** openssl makes CAs that begin at its own time, while the tests run. */
const nowMs = Date.now() + 3_600_000;
const refused = (reason: Reason, text: RegExp) => (error: unknown) =>
  error instanceof AppError && error.reason === reason && text.test(error.message);

describe('authorities', () => {
  let stateFolder: string;
  let pki: KubeadmPki;
  before(() => {
    pki = kubeadmPki();
  });
  after(() => pki.remove());
  beforeEach(async () => {
    stateFolder = await mkdtemp(join(tmpdir(), 'kube-mtls-state-'));
  });
  afterEach(() => rm(stateFolder, { recursive: true }));
  const make = (options: Partial<MakeAuthoritiesOptions> = {}) =>
    makeAuthorities({
      stateFolder,
      ...{ passphrase: 'secret', keyIterations: fewIterations },
      clusterName: 'lab',
      adoptFolder: undefined,
      nowMs,
      ...options,
    });
  const file = (name: string) => join(stateFolder, 'ca', name);

  it('are made new with the names of kubeadm, for ten years, and open again', async () => {
    assert.deepEqual(await make(), []);
    const opened = await loadAuthorities(stateFolder, 'secret');
    const names = words.all.map((authority) => opened.certificate(authority).commonName);
    assert.deepEqual(names, ['kube-mtls fleet CA lab', 'kubernetes', 'etcd-ca', 'front-proxy-ca']);
    for (const authority of words.all) {
      const { certificate, key } = opened.signerFor(authority, undefined);
      assert.ok(certificate.ca && keyMatches(key, certificate));
      assert.equal(certificate.x509.publicKey.asymmetricKeyDetails?.namedCurve, 'prime256v1');
      assert.equal(Math.round((certificate.notAfter.getTime() - nowMs) / 86_400_000), 3650);
      assert.equal(opened.rootsPem(authority), certificate.pem);
      assert.equal(opened.imported(authority), false);
    }
  });

  it('are kept encrypted, in files that only their owner reads', async () => {
    await make({ adoptFolder: pki.folder });
    for (const authority of words.all) {
      const keyPem = readFileSync(file(`${authority}.key`), 'utf8');
      assert.match(keyPem, /^-----BEGIN ENCRYPTED PRIVATE KEY-----/);
      assert.throws(() => loadKey(keyPem, 'other'));
      assert.equal(statSync(file(`${authority}.key`)).mode & 0o777, 0o600);
    }
    assert.equal(statSync(join(stateFolder, 'ca')).mode & 0o777, 0o700);
    await assert.rejects(loadAuthorities(stateFolder, 'other'), refused('unavailable', /passphrase does not open it/));
  });

  it('change nothing when they are made again', async () => {
    await make();
    const snapshot = () => readdirSync(join(stateFolder, 'ca')).map((name) => readFileSync(file(name), 'utf8'));
    const first = snapshot();
    await make();
    assert.deepEqual(snapshot(), first);
  });

  it('are completed after a crash, whatever was written', async () => {
    await make();
    const kept = readFileSync(file('fleet.crt'), 'utf8');
    rmSync(file('authorities.json'));
    rmSync(file('front-proxy.crt')); // the key was written, its certificate was not
    rmSync(file('etcd.crt'));
    rmSync(file('etcd.key'));
    await assert.rejects(loadAuthorities(stateFolder, 'secret'), refused('not-found', /init first/));
    await make();
    await loadAuthorities(stateFolder, 'secret');
    assert.equal(readFileSync(file('fleet.crt'), 'utf8'), kept);
  });

  it('are imported from kubeadm and remembered as such', async () => {
    assert.deepEqual(await make({ adoptFolder: pki.folder }), []);
    const opened = await loadAuthorities(stateFolder, 'secret');
    for (const [authority, name] of [
      ['kubernetes', 'ca'],
      ['etcd', 'etcd/ca'],
      ['front-proxy', 'front-proxy-ca'],
    ] as const) {
      const original = parseCertificate(readFileSync(join(pki.folder, `${name}.crt`)));
      assert.equal(opened.certificate(authority).sha256, original.sha256);
      assert.equal(opened.imported(authority), true);
    }
    assert.equal(opened.imported('fleet'), false);
    assert.deepEqual(await make({ adoptFolder: pki.folder }), []);
  });

  it('are made new where the adopted folder has none, which is said', async () => {
    const partial = emptyPki();
    copyFileSync(join(pki.folder, 'ca.crt'), join(partial.folder, 'ca.crt'));
    copyFileSync(join(pki.folder, 'ca.key'), join(partial.folder, 'ca.key'));
    const notes = await make({ adoptFolder: partial.folder });
    partial.remove();
    assert.equal(notes.length, 2);
    assert.match(notes.join('\n'), /has no etcd CA: a new one.*\n.*has no front-proxy CA/);
    const opened = await loadAuthorities(stateFolder, 'secret');
    assert.deepEqual(
      words.all.map((authority) => opened.imported(authority)),
      [false, true, false, false],
    );
  });

  it('keep every root of a bundle that the cluster trusts, their own first', async () => {
    const other = readFileSync(join(pki.folder, 'etcd/ca.crt'), 'utf8');
    const bundle = emptyPki();
    writeFileSync(join(bundle.folder, 'ca.crt'), other + readFileSync(join(pki.folder, 'ca.crt'), 'utf8'));
    copyFileSync(join(pki.folder, 'ca.key'), join(bundle.folder, 'ca.key'));
    await make({ adoptFolder: bundle.folder });
    bundle.remove();
    const opened = await loadAuthorities(stateFolder, 'secret');
    assert.deepEqual(
      opened.roots('kubernetes').map((root) => root.commonName),
      ['kubernetes', 'etcd-ca'],
    );
  });

  it('warn of a front-proxy CA that is the kubernetes CA', async () => {
    const same = emptyPki();
    for (const name of ['ca', 'front-proxy-ca']) {
      for (const end of ['crt', 'key'])
        copyFileSync(join(pki.folder, `ca.${end}`), join(same.folder, `${name}.${end}`));
    }
    const notes = await make({ adoptFolder: same.folder });
    same.remove();
    assert.match(notes.join('\n'), /requestheader-allowed-names/);
  });

  it('refuse to be replaced by those of another cluster, and stay', async () => {
    await make();
    const before = readFileSync(file('kubernetes.crt'), 'utf8');
    await assert.rejects(make({ clusterName: 'prod' }), refused('conflict', /belongs to "kube-mtls fleet CA lab"/));
    await assert.rejects(make({ adoptFolder: pki.folder }), refused('conflict', /another kubernetes CA/));
    assert.equal(readFileSync(file('kubernetes.crt'), 'utf8'), before);
  });

  const damages: [what: string, damage: () => void | Promise<void>, message: RegExp][] = [
    ['a key is missing', () => rmSync(file('etcd.key')), /etcd\.key: it is missing: restore/],
    [
      'a key belongs to another',
      () => copyFileSync(file('etcd.key'), file('fleet.key')),
      /not the key of .*fleet\.crt/,
    ],
    ['a certificate is damaged', () => writeFileSync(file('etcd.crt'), 'x'), /cannot use .*etcd\.key/],
    ['the list is damaged', () => writeFileSync(file('authorities.json'), '{"imported":["x"]}'), /authorities\.json/],
    [
      'a key is not encrypted',
      async () => writeFileSync(file('etcd.key'), (await generateKey('ecdsa-p256')).pem),
      /is not encrypted/,
    ],
  ];
  for (const [what, damage, message] of damages) {
    it(`do not open when ${what}, and are not made anew`, async () => {
      await make();
      await damage();
      await assert.rejects(loadAuthorities(stateFolder, 'secret'), refused('unavailable', message));
      await assert.rejects(make(), refused('unavailable', message));
    });
  }
});

describe('importAuthority', () => {
  let pki: KubeadmPki;
  beforeEach(() => {
    pki = emptyPki();
    pki.authority('ca', 'kubernetes');
  });
  afterEach(() => pki.remove());
  const path = (name: string) => join(pki.folder, name);
  const afterItsEnd = nowMs + 3651 * 86_400_000;

  const cases: [what: string, prepare: () => void, atMs: number, message: RegExp][] = [
    ['a key that is missing', () => rmSync(path('ca.key')), nowMs, /ca\.key: it is missing/],
    ['a certificate that is missing', () => rmSync(path('ca.crt')), nowMs, /ca\.crt: it is missing/],
    ['the key of another', () => pki.leaf('other', '/CN=x', ''), nowMs, /ca\.key: it is not the key of/],
    ['no CA', () => pki.authority('ca', 'x', { ca: false }), nowMs, /ca\.crt: it is not a CA certificate/],
    ['a weak key', () => pki.authority('ca', 'x', { bits: 1024 }), nowMs, /ca\.crt: .*1024 bits/],
    ['an expired CA', () => {}, afterItsEnd, /ca\.crt: it ends .*renew the CA/],
    ['a CA of tomorrow', () => {}, nowMs - 86_400_000, /not valid before/],
    ['a key that is none', () => writeFileSync(path('ca.key'), 'x'), nowMs, /ca\.key: the private key cannot be read/],
    ['a certificate that is none', () => writeFileSync(path('ca.crt'), 'x'), nowMs, /ca\.crt: the text holds no cert/],
  ];
  for (const [what, prepare, atMs, message] of cases) {
    it(`refuses ${what}, naming the file`, async () => {
      prepare();
      if (what === 'the key of another') copyFileSync(path('other.key'), path('ca.key'));
      await assert.rejects(importAuthority(pki.folder, 'kubernetes', atMs), refused('invalid-request', message));
    });
  }

  it('finds nothing in a folder without it', async () => {
    assert.equal(await importAuthority(pki.folder, 'etcd', nowMs), undefined);
  });

  it('is what makeAuthorities asks before it writes anything', async () => {
    const stateFolder = await mkdtemp(join(tmpdir(), 'kube-mtls-state-'));
    const options = { stateFolder, passphrase: 'secret', clusterName: 'lab', adoptFolder: pki.folder, nowMs };
    pki.authority('front-proxy-ca', 'x', { ca: false });
    await assert.rejects(makeAuthorities(options), refused('invalid-request', /front-proxy-ca\.crt/));
    const none = { ...options, adoptFolder: path('etcd') };
    await assert.rejects(makeAuthorities(none), refused('invalid-request', /there is no ca\.crt and ca\.key/));
    assert.deepEqual(readdirSync(stateFolder), []);
    await rm(stateFolder, { recursive: true });
  });
});

describe('the passphrase', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kube-mtls-passphrase-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('comes from the configured file, the credential or the fallback, in this order', async () => {
    const [configured, fallback] = [join(folder, 'configured'), join(folder, 'fallback')];
    const sources = { configured: undefined, credentialsFolder: folder, fallback };
    await assert.rejects(readPassphrase(sources), refused('not-found', /looked for .*ca-passphrase, .*fallback/));
    writeFileSync(fallback, 'from fallback\n');
    assert.equal(await readPassphrase(sources), 'from fallback');
    writeFileSync(join(folder, 'ca-passphrase'), ' from credential \n');
    assert.equal(await readPassphrase(sources), ' from credential');
    await assert.rejects(readPassphrase({ ...sources, configured }), refused('not-found', /configured/));
    writeFileSync(configured, '\n');
    await assert.rejects(readPassphrase({ ...sources, configured }), refused('unavailable', /is empty/));
  });

  it('is made once, for its owner only', async () => {
    const file = join(folder, 'ca-passphrase');
    await makePassphrase(file);
    const first = readFileSync(file, 'utf8');
    assert.match(first, /^[0-9a-f]{64}\n$/);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    await makePassphrase(file);
    assert.equal(readFileSync(file, 'utf8'), first);
  });
});
