import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { authorities as words } from '../../common/names/names.ts';
import { chainsTo, keyMatches, parseCertificate, parseCertificates } from '../../common/x509/certificate.ts';
import { loadKey } from '../../common/x509/keys.ts';
import { hasIterations } from '../../common/x509/x509-for-tests.ts';
import { parseServerConfig } from '../config/server-config.ts';
import { refused, startMs, type TestMachine, testMachine } from './init-for-tests.ts';
import type { InitOptions } from './init-options.ts';

/** Only root can give files away. */
const notRoot = process.getuid?.() !== 0;

describe('a server after init', () => {
  let machine: TestMachine;
  before(async () => {
    machine = testMachine();
    await machine.init({ advertise: ['10.0.0.1', 'ca.example'] });
  });
  after(() => machine.remove());
  const etc = (name: string) => join(machine.root, 'etc/kube-mtls', name);
  const state = (name: string) => join(machine.layout.stateFolder, name);

  it('lets nobody but the owner read what is secret', async () => {
    const mode = (path: string) => (statSync(path).mode & 0o777).toString(8);
    const modes: [path: string, mode: string][] = [
      [etc('server.yaml'), '644'],
      [etc('ca-passphrase'), '600'],
      [etc('admin'), '700'],
      [etc('admin/ca.crt'), '644'],
      [etc('admin/admin.crt'), '644'],
      [etc('admin/admin.key'), '600'],
      [state(''), '700'],
      [state('ca'), '700'],
      [state('server'), '700'],
      [state('server/tls.crt'), '644'],
      [state('server/tls.key'), '600'],
      [state('kube-mtls.db'), '600'],
      ...words.all.map((authority): [string, string] => [state(`ca/${authority}.key`), '600']),
    ];
    assert.deepEqual(
      modes.map(([path]) => [path, mode(path)]),
      modes,
    );
  });

  it('encrypts the keys of the CAs with 256 random bits', async () => {
    const passphrase = machine.read(etc('ca-passphrase'));
    assert.match(passphrase, /^[0-9a-f]{64}\n$/);
    for (const authority of words.all) {
      const pem = machine.read(state(`ca/${authority}.key`));
      assert.match(pem, /^-----BEGIN ENCRYPTED PRIVATE KEY-----/);
      assert.throws(() => loadKey(pem, 'another'));
      loadKey(pem, passphrase.trim());
    }
  });

  it('makes guessing slow with 600,000 rounds, of which only tests take fewer', async () => {
    const real = testMachine();
    real.deps.keyIterations = undefined; // as main.ts has them
    await real.init();
    for (const authority of words.all) {
      assert.ok(hasIterations(real.read(join(real.layout.stateFolder, `ca/${authority}.key`)), 600_000), authority);
    }
    real.remove();
    assert.doesNotMatch(readFileSync(join(import.meta.dirname, '../main.ts'), 'utf8'), /iterations/i);
  });

  it('makes the first administrator, on record with the role admin', async () => {
    const { roots } = await machine.authorities();
    const certificate = parseCertificate(machine.read(etc('admin/admin.crt')));
    assert.ok(keyMatches(loadKey(machine.read(etc('admin/admin.key'))), certificate));
    assert.deepEqual(certificate.uris, ['spiffe://lab/admin/root']);
    assert.deepEqual(certificate.usages, ['client']);
    assert.equal(
      chainsTo(certificate, parseCertificates(machine.read(etc('admin/ca.crt'))), new Date(startMs)),
      undefined,
    );
    assert.equal(chainsTo(certificate, roots('fleet'), new Date(startMs)), undefined);
    await machine.withStore(async (store) => {
      const { serial } = certificate;
      assert.deepEqual(await store.getAdmin('root'), { name: 'root', role: 'admin', serial });
      const row = await store.getCertificate('fleet', serial);
      assert.deepEqual([row?.holder, row?.state, row?.sha256], ['admin/root', 'issued', certificate.sha256]);
    });
  });

  it('makes the certificate of the server, on record, with the fleet CA behind it', async () => {
    const [leaf, root, ...more] = parseCertificates(machine.read(state('server/tls.crt')));
    assert.ok(leaf !== undefined && root !== undefined && more.length === 0);
    assert.equal(root.sha256, (await machine.authorities()).certificate('fleet').sha256);
    assert.equal(chainsTo(leaf, [root], new Date(startMs)), undefined);
    assert.ok(keyMatches(loadKey(machine.read(state('server/tls.key'))), leaf));
    assert.deepEqual([leaf.uris, leaf.usages], [['spiffe://lab/server'], ['server']]);
    assert.deepEqual([...leaf.dnsNames].sort(), ['ca.example', 'cp1', 'localhost']);
    assert.deepEqual([...leaf.ipAddresses].sort(), ['10.0.0.1', '127.0.0.1', '::1']);
    const row = await machine.withStore((store) => store.getCertificate('fleet', leaf.serial));
    assert.deepEqual([row?.holder, row?.state], ['server', 'issued']);
  });

  const others: [Partial<InitOptions>, RegExp][] = [
    [{ cluster: 'prod' }, /cluster\.name is lab there and prod here/],
    [{ apiEndpoint: '10.0.0.2:6443' }, /cluster\.apiEndpoint is 10\.0\.0\.1:6443 there and 10\.0\.0\.2:6443 here/],
    [{ serviceCidr: '10.0.0.0/16' }, /cluster\.serviceCidr is/],
    [{ dnsDomain: 'other.local' }, /cluster\.dnsDomain is/],
    [{ advertise: ['ca.example'] }, /advertise is 10\.0\.0\.1, ca\.example there and ca\.example here/],
    [{ cluster: 'prod', dnsDomain: 'x' }, /cluster\.name is .*; cluster\.dnsDomain is/],
  ];
  for (const [options, message] of others) {
    it(`refuses ${Object.keys(options).join(' and ')} other than before, and changes nothing`, async () => {
      const before = machine.snapshot();
      await assert.rejects(machine.init(options), refused('conflict', message));
      assert.deepEqual(machine.snapshot(), before);
    });
  }
});

describe('init', () => {
  let machine: TestMachine;
  beforeEach(() => {
    machine = testMachine();
  });
  afterEach(() => machine.remove());
  const etc = (name: string) => join(machine.root, 'etc/kube-mtls', name);
  const state = (name: string) => join(machine.layout.stateFolder, name);

  it('writes a configuration that says what it was told', async () => {
    const result = await machine.init({
      apiEndpoint: 'LB.example:6443',
      serviceCidr: '10.32.0.0/16',
      dnsDomain: 'k.x',
    });
    const config = parseServerConfig(machine.read(etc('server.yaml')), 'server.yaml');
    assert.equal(config.cluster.name, 'lab');
    assert.equal(config.cluster.apiEndpoint, 'lb.example:6443');
    assert.equal(config.cluster.serviceAddress, '10.32.0.1');
    assert.equal(config.cluster.dnsDomain, 'k.x');
    assert.deepEqual(config.advertise, ['10.0.0.1']);
    assert.equal(config.stateFolder, machine.layout.stateFolder);
    assert.equal(config.apiServer.kubeletClientOrganization, 'system:masters');
    assert.equal(result.already, false);
    assert.equal(result.bootstrapEndpoint, '10.0.0.1:9443');
    assert.match(result.advertiseWhy ?? '', /first address of this machine/);
    assert.equal(result.pin, (await machine.authorities()).certificate('fleet').publicKeyPin);
  });

  it('gives the state to the daemon, follows no link of it, and keeps the rest', { skip: notRoot }, async () => {
    machine.users.set('kube-mtls', '12345:12346');
    const foreign = join(machine.root, 'foreign');
    writeFileSync(foreign, '');
    mkdirSync(machine.layout.stateFolder, { recursive: true });
    symlinkSync(foreign, state('link'));
    const result = await machine.init();
    for (const name of ['', 'ca', 'ca/fleet.key', 'server/tls.key', 'kube-mtls.db']) {
      const { uid, gid } = statSync(state(name));
      assert.deepEqual([name, uid, gid], [name, 12345, 12346]);
    }
    for (const path of [foreign, etc('ca-passphrase'), etc('admin/admin.key'), etc('server.yaml')]) {
      assert.deepEqual([path, statSync(path).uid], [path, 0]);
    }
    assert.deepEqual(result.notes, []);
  });

  it('says so when there is no user for the daemon', async () => {
    assert.match((await machine.init()).notes.join(), /no user kube-mtls/);
  });

  it('does no harm the second time', async () => {
    const first = await machine.init();
    const before = machine.snapshot();
    const second = await machine.init();
    assert.deepEqual(machine.snapshot(), before);
    assert.equal(second.already, true);
    assert.equal(second.pin, first.pin);
    assert.deepEqual(second.notes, []);
  });

  it('takes what the operator edited since, and addresses that changed, for no difference', async () => {
    await machine.init();
    writeFileSync(etc('server.yaml'), `${machine.read(etc('server.yaml'))}\nlogLevel: debug\n`);
    const before = machine.snapshot();
    const moved = { ...machine.deps, machine: { hostname: 'cp1', addresses: ['10.0.0.99'] } };
    Object.assign(machine.deps, moved);
    assert.equal((await machine.init()).already, true);
    assert.deepEqual(machine.snapshot(), before);
  });

  const malformed: [Partial<InitOptions>, RegExp][] = [
    [{ cluster: 'Lab' }, /options of init cannot be used: cluster\.name: use a-z/],
    [{ cluster: 'lab"\nlogLevel: debug' }, /cluster\.name: use a-z/],
    [{ apiEndpoint: 'cp1' }, /"cp1" is not HOST:PORT/],
    [{ serviceCidr: '10.96.0.0' }, /cluster\.serviceCidr: .*is not a network/],
    [{ dnsDomain: 'a b' }, /cluster\.dnsDomain: .*malformed/],
    [{ advertise: ['10.0.0.1', 'a:9443'] }, /advertise\.1: .*malformed/],
  ];
  for (const [options, message] of malformed) {
    it(`refuses ${JSON.stringify(options)}, and writes nothing`, async () => {
      await assert.rejects(machine.init(options), refused('invalid-request', message));
      assert.deepEqual(machine.snapshot(), []);
    });
  }

  it('names the line of a configuration that it cannot read', async () => {
    await machine.init();
    writeFileSync(etc('server.yaml'), `${machine.read(etc('server.yaml'))}\nfoo: 1\n`);
    await assert.rejects(machine.init(), refused('invalid-request', /server\.yaml:\d+: unknown field foo/));
  });
});
