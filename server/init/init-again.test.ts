import assert from 'node:assert/strict';
import { copyFileSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { keyMatches, parseCertificate, parseCertificates } from '../../common/x509/certificate.ts';
import { loadKey } from '../../common/x509/keys.ts';
import { refused, type TestMachine, testMachine } from './init-for-tests.ts';

describe('init, where something is there already,', () => {
  let machine: TestMachine;
  beforeEach(() => {
    machine = testMachine();
  });
  afterEach(() => machine.remove());
  const etc = (name: string) => join(machine.root, 'etc/kube-mtls', name);
  const state = (name: string) => join(machine.layout.stateFolder, name);

  describe('after a crash', () => {
    const crashes: [what: string, lose: () => void][] = [
      ['before the configuration', () => {}],
      ['before the administrator was whole', () => rmSync(etc('admin/admin.crt'))],
      ['before the administrator', () => rmSync(etc('admin'), { recursive: true })],
      ['between the files of the server', () => rmSync(state('server/tls.crt'))],
      [
        'before any certificate',
        () => {
          rmSync(etc('admin'), { recursive: true });
          rmSync(state('server'), { recursive: true });
          rmSync(state('kube-mtls.db'));
        },
      ],
      [
        'among the CAs',
        () => {
          rmSync(etc('admin'), { recursive: true });
          rmSync(state('server'), { recursive: true });
          rmSync(state('kube-mtls.db'));
          for (const name of ['authorities.json', 'etcd.crt', 'front-proxy.crt', 'front-proxy.key']) {
            rmSync(state(`ca/${name}`));
          }
        },
      ],
    ];
    for (const [what, lose] of crashes) {
      it(`${what}, goes on and keeps the CAs that were made`, async () => {
        const { pin } = await machine.init();
        const passphrase = machine.read(etc('ca-passphrase'));
        const kubernetes = machine.read(state('ca/kubernetes.crt'));
        rmSync(etc('server.yaml'));
        lose();
        const result = await machine.init();
        assert.deepEqual([result.already, result.pin], [false, pin]);
        assert.equal(machine.read(etc('ca-passphrase')), passphrase);
        assert.equal(machine.read(state('ca/kubernetes.crt')), kubernetes);
        const admin = parseCertificate(machine.read(etc('admin/admin.crt')));
        assert.ok(keyMatches(loadKey(machine.read(etc('admin/admin.key'))), admin));
        assert.equal((await machine.withStore((store) => store.getAdmin('root')))?.serial, admin.serial);
        const [leaf] = parseCertificates(machine.read(state('server/tls.crt')));
        assert.ok(leaf !== undefined && keyMatches(loadKey(machine.read(state('server/tls.key'))), leaf));
        assert.equal((await machine.init()).already, true);
      });
    }

    it('with nothing but a passphrase, goes on with it', async () => {
      mkdirSync(etc(''), { recursive: true });
      writeFileSync(etc('ca-passphrase'), 'kept\n', { mode: 0o600 });
      await machine.init();
      assert.equal(machine.read(etc('ca-passphrase')), 'kept\n');
      loadKey(machine.read(state('ca/fleet.key')), 'kept');
    });

    it('refuses to go on for another cluster', async () => {
      await machine.init();
      rmSync(etc('server.yaml'));
      const before = machine.snapshot();
      await assert.rejects(
        machine.init({ cluster: 'prod' }),
        refused('conflict', /belongs to "kube-mtls fleet CA lab"/),
      );
      assert.deepEqual(machine.snapshot(), before);
    });
  });

  describe('never makes anew what was lost', () => {
    it('makes no other passphrase beside keys', async () => {
      await machine.init();
      rmSync(etc('server.yaml'));
      rmSync(etc('ca-passphrase'));
      await assert.rejects(machine.init(), refused('unavailable', /ca-passphrase is missing, while .*restore it/));
      assert.equal(existsSync(etc('ca-passphrase')), false);
    });

    const losses: [what: string, lose: () => void, message: RegExp][] = [
      ['its CAs', () => rmSync(state('ca'), { recursive: true }), /server\.yaml is there, but the CAs .*restore/],
      ['one CA', () => rmSync(state('ca/etcd.crt')), /the etcd CA is missing/],
      [
        'its store, with the administrator',
        () => {
          rmSync(etc('admin'), { recursive: true });
          rmSync(state('kube-mtls.db'));
        },
        /kube-mtls\.db is not: restore/,
      ],
    ];
    for (const [what, lose, message] of losses) {
      it(`refuses an initialised server without ${what}`, async () => {
        await machine.init();
        lose();
        const before = machine.snapshot();
        await assert.rejects(machine.init(), refused('unavailable', message));
        assert.deepEqual(machine.snapshot(), before);
      });
    }

    it('refuses an initialised server without its passphrase', async () => {
      await machine.init();
      rmSync(etc('ca-passphrase'));
      await assert.rejects(machine.init(), refused('not-found', /no passphrase/));
    });
  });

  it('replaces the certificate of an administrator that is over, and that one only', async () => {
    await machine.init();
    const [old, tls] = [machine.read(etc('admin/admin.crt')), machine.read(state('server/tls.crt'))];
    await machine.clock.advance(366 * 86_400_000);
    const result = await machine.init();
    assert.match(result.notes.join(), /certificate was made anew: .*expired/);
    const admin = parseCertificate(machine.read(etc('admin/admin.crt')));
    assert.notEqual(admin.pem, old);
    assert.equal((await machine.withStore((store) => store.getAdmin('root')))?.serial, admin.serial);
    assert.equal(machine.read(state('server/tls.crt')), tls);
  });

  it('replaces it with a third of its life left, and not before', async () => {
    await machine.init();
    const old = parseCertificate(machine.read(etc('admin/admin.crt')));
    await machine.clock.advance(240 * 86_400_000);
    await machine.init();
    assert.equal(machine.read(etc('admin/admin.crt')), old.pem);
    await machine.clock.advance(5 * 86_400_000);
    const result = await machine.init();
    assert.match(result.notes.join(), /certificate was made anew: it would end 20/);
    assert.ok(parseCertificate(machine.read(etc('admin/admin.crt'))).notAfter > old.notAfter);
  });

  it('never overwrites the administrator of another fleet', async () => {
    const other = testMachine();
    await other.init();
    mkdirSync(etc('admin'), { recursive: true });
    for (const name of ['ca.crt', 'admin.crt', 'admin.key']) {
      copyFileSync(join(other.layout.adminFolder, name), etc(`admin/${name}`));
    }
    const before = machine.snapshot();
    await assert.rejects(machine.init(), refused('conflict', /administrator's certificate of another fleet CA/));
    assert.deepEqual(machine.snapshot(), before);
    rmSync(etc('admin'), { recursive: true });
    await machine.init();
    copyFileSync(join(other.layout.adminFolder, 'ca.crt'), etc('admin/ca.crt'));
    other.remove();
    await assert.rejects(machine.init(), refused('conflict', /another fleet CA/));
  });
});
