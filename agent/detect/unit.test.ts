// biome-ignore-all lint/suspicious/noTemplateCurlyInString: ${NAME} is a variable of systemd here
import assert from 'node:assert/strict';
import { symlink } from 'node:fs/promises';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { Word } from './detected.ts';
import { FakeNode, type FakeUnit } from './fake-node.ts';
import { NotUnderstood } from './not-understood.ts';
import { loadUnit } from './unit.ts';

/** As Debian 12 ships it. */
const DEBIAN_ETCD = `[Unit]
Description=etcd - highly-available key value store
Wants=network-online.target

[Service]
Environment=DAEMON_ARGS=
Environment=ETCD_NAME=%H
Environment=ETCD_DATA_DIR=/var/lib/etcd/default
EnvironmentFile=-/etc/default/%p
Type=notify
User=etcd
PermissionsStartOnly=true
#ExecStart=/bin/sh -c "GOMAXPROCS=$(nproc) /usr/bin/etcd $DAEMON_ARGS"
ExecStart=/usr/bin/etcd $DAEMON_ARGS
Restart=on-abnormal
#RestartSec=10s

[Install]
WantedBy=multi-user.target
Alias=etcd2.service
`;
const OWN = '/etc/systemd/system/etcd.service.d/50-kube-mtls.conf';

describe('loadUnit', () => {
  let node: FakeNode;
  beforeEach(async () => {
    node = await FakeNode.create();
  });
  afterEach(() => node.remove());

  async function load(unit: FakeUnit) {
    await node.addUnit('etcd.service', unit);
    const deps = { layout: node.layout, run: node.run, hostname: 'cp1' };
    return loadUnit(deps, 'etcd.service', 'etcd', new AbortController().signal);
  }
  async function loaded(unit: FakeUnit) {
    const found = await load(unit);
    assert.ok(found);
    return found;
  }
  const valuesOf = (command: Word[]) => command.flatMap((word) => word.values);

  it("reads Debian's etcd", async () => {
    await node.write(
      '/etc/default/etcd',
      '## etcd(1) daemon options\nETCD_LISTEN_CLIENT_URLS="http://127.0.0.1:2379"\n',
    );
    const unit = await loaded({ text: DEBIAN_ETCD, user: 'etcd' });
    assert.deepEqual(unit.command, [
      { raw: '/usr/bin/etcd', values: ['/usr/bin/etcd'] },
      { raw: '$DAEMON_ARGS', values: [] },
    ]);
    assert.deepEqual(Object.fromEntries(unit.environment), {
      DAEMON_ARGS: '',
      ETCD_NAME: 'cp1',
      ETCD_DATA_DIR: '/var/lib/etcd/default',
      ETCD_LISTEN_CLIENT_URLS: 'http://127.0.0.1:2379',
    });
    assert.deepEqual([unit.user, unit.uid, unit.gid, unit.activeState], ['etcd', 107, 115, 'active']);
    assert.equal(unit.dropInPath, node.path(OWN));
    assert.equal(unit.dropIn, undefined);
    assert.deepEqual(unit.effectiveCommand, unit.command);
    assert.deepEqual(
      unit.files.map(({ path, text, mode }) => [path, text, mode]),
      [[node.path('/etc/systemd/system/etcd.service'), DEBIAN_ETCD, 0o644]],
    );
  });

  it('tells the unit without our drop-in from the one in force', async () => {
    await node.write('/etc/kube-mtls/etcd.env', 'ETCD_CERT_FILE=/ours\n');
    const unit = await loaded({
      text: DEBIAN_ETCD,
      dropIns: {
        '/etc/systemd/system/etcd.service.d/10-more.conf': '[Service]\nExecStart=\nExecStart=/usr/bin/etcd --debug\n',
        [OWN]:
          '[Service]\nExecStart=\nExecStart=/usr/bin/etcd --debug --cert-file=/ours\nEnvironmentFile=/etc/kube-mtls/etcd.env\n',
        '/etc/systemd/system/etcd.service.d/90-later.conf': '[Service]\nEnvironment=ETCD_NAME=later\n',
      },
    });
    assert.deepEqual(valuesOf(unit.command), ['/usr/bin/etcd', '--debug']);
    assert.deepEqual(valuesOf(unit.effectiveCommand), ['/usr/bin/etcd', '--debug', '--cert-file=/ours']);
    assert.equal(unit.environment.get('ETCD_CERT_FILE'), undefined);
    assert.equal(unit.effectiveEnvironment.get('ETCD_CERT_FILE'), '/ours');
    assert.equal(unit.environment.get('ETCD_NAME'), 'later');
    assert.equal(unit.effectiveEnvironment.get('ETCD_NAME'), 'later');
    assert.match(unit.dropIn?.text ?? '', /--cert-file/);
    assert.equal(unit.files.length, 3);
  });

  it('takes our drop-in into account before systemd has reloaded, and our missing environment file for an empty one', async () => {
    await node.write(OWN, '[Service]\nEnvironmentFile=/etc/kube-mtls/etcd.env\nEnvironment=ETCD_X=1\n');
    const unit = await loaded({ text: DEBIAN_ETCD });
    assert.equal(unit.effectiveEnvironment.get('ETCD_X'), '1');
    assert.equal(unit.environment.get('ETCD_X'), undefined);
  });

  it('takes a drop-in that is a link to /dev/null for an empty one', async () => {
    const path = '/etc/systemd/system/etcd.service.d/10-off.conf';
    await node.write('/etc/systemd/system/etcd.service.d/keep', '');
    await symlink('/dev/null', node.path(path));
    await node.addUnit('etcd.service', { text: DEBIAN_ETCD });
    const run: typeof node.run = async (argv) => {
      const result = await node.run(argv);
      return { ...result, stdout: result.stdout.replace('DropInPaths=', `DropInPaths=${path}`) };
    };
    const deps = { layout: node.layout, run, hostname: 'cp1' };
    const unit = await loadUnit(deps, 'etcd.service', 'etcd', new AbortController().signal);
    assert.deepEqual(
      unit?.files.map(({ text }) => text),
      [DEBIAN_ETCD, ''],
    );
  });

  it('reads an instance of a template, as of which etcd is named when it runs so', async () => {
    await node.addUnit('etcd@cp1.service', {
      fragmentPath: '/etc/systemd/system/etcd@.service',
      text: '[Service]\nExecStart=/usr/bin/etcd --name=%i\n',
      dropIns: { '/etc/systemd/system/etcd@.service.d/10-debug.conf': '[Service]\nEnvironment=ETCD_DEBUG=true\n' },
    });
    const deps = { layout: node.layout, run: node.run, hostname: 'cp1' };
    const unit = await loadUnit(deps, 'etcd@cp1.service', 'etcd', new AbortController().signal);
    assert.deepEqual(valuesOf(unit?.command ?? []), ['/usr/bin/etcd', '--name=cp1']);
    assert.equal(unit?.environment.get('ETCD_DEBUG'), 'true');
    assert.equal(unit?.dropInPath, node.path('/etc/systemd/system/etcd@cp1.service.d/50-kube-mtls.conf'));
  });

  const SIMPLE = '[Service]\nExecStart=/usr/bin/etcd\n';
  const accounts: [string, FakeUnit, [string, number, number]][] = [
    ['no user', { text: SIMPLE }, ['root', 0, 0]],
    ['a user by number', { text: SIMPLE, user: '200' }, ['200', 200, 201]],
    ['a group of its own', { text: `${SIMPLE}Group=ssl-cert\n`, user: 'etcd' }, ['etcd', 107, 120]],
    ['a group by number', { text: `${SIMPLE}Group=115\n`, user: 'kube' }, ['kube', 200, 115]],
    ['full privileges', { text: '[Service]\nExecStart=+/usr/bin/etcd\nGroup=etcd\n', user: 'etcd' }, ['root', 0, 0]],
    [
      'a program that drops privileges itself',
      { text: '[Service]\nExecStart=!/usr/bin/etcd\n', user: 'etcd' },
      ['root', 0, 0],
    ],
    ['ambient capabilities', { text: '[Service]\nExecStart=!!/usr/bin/etcd\n', user: 'etcd' }, ['etcd', 107, 115]],
  ];
  for (const [name, unit, expected] of accounts) {
    it(`knows who runs it with ${name}`, async () => {
      const { user, uid, gid } = await loaded(unit);
      assert.deepEqual([user, uid, gid], expected);
    });
  }

  const uses: [string, Partial<FakeUnit>, boolean][] = [
    ['disabled and inactive', { unitFileState: 'disabled', activeState: 'inactive' }, false],
    ['disabled and failed', { unitFileState: 'disabled', activeState: 'failed' }, false],
    ['static and inactive', { unitFileState: 'static', activeState: 'inactive' }, false],
    ['masked', { loadState: 'masked', unitFileState: 'masked', activeState: 'active' }, false],
    ['enabled and inactive', { unitFileState: 'enabled', activeState: 'inactive' }, true],
    ['enabled and failed', { unitFileState: 'enabled', activeState: 'failed' }, true],
    ['enabled until the next boot', { unitFileState: 'enabled-runtime', activeState: 'inactive' }, true],
    ['disabled and active', { unitFileState: 'disabled', activeState: 'active' }, true],
    ['disabled and restarting', { unitFileState: 'disabled', activeState: 'activating' }, true],
  ];
  for (const [name, unit, expected] of uses) {
    it(`${expected ? 'takes' : 'passes over'} a unit that is ${name}`, async () => {
      assert.equal((await load({ text: SIMPLE, ...unit })) !== undefined, expected);
    });
  }
  it('passes over a unit that does not exist, and reads nothing', async () => {
    const deps = { layout: node.layout, run: node.run, hostname: 'cp1' };
    assert.equal(await loadUnit(deps, 'kubelet.service', 'kubelet', new AbortController().signal), undefined);
  });

  const FRAGMENT = '/etc/systemd/system/etcd.service';
  const refusals: [string, Partial<FakeUnit>, RegExp, string, number | undefined][] = [
    ['no ExecStart', { text: '[Service]\nType=simple\n' }, /no ExecStart/, FRAGMENT, undefined],
    ['an ExecStart that was taken back', { text: `${SIMPLE}ExecStart=\n` }, /no ExecStart/, FRAGMENT, undefined],
    ['several ExecStart', { text: `${SIMPLE}ExecStart=/usr/bin/etcd\n` }, /several/, FRAGMENT, 3],
    [
      'a shell',
      { text: '[Service]\nExecStart=/bin/sh -c "exec /usr/bin/etcd"\n' },
      /runs \/bin\/sh and not etcd/,
      FRAGMENT,
      2,
    ],
    ['a container engine', { text: '[Service]\nExecStart=/usr/bin/docker run etcd\n' }, /docker/, FRAGMENT, 2],
    ['env before it', { text: '[Service]\nExecStart=/usr/bin/env A=1 etcd\n' }, /env and not etcd/, FRAGMENT, 2],
    ['a broken line', { text: '[Service]\nExecStart /usr/bin/etcd\n' }, /no assignment/, FRAGMENT, 2],
    ['an open quote', { text: '[Service]\nA=1\nExecStart=/usr/bin/etcd "a\n' }, /not closed/, FRAGMENT, 3],
    ['a root folder of its own', { text: `${SIMPLE}RootDirectory=/srv\n` }, /RootDirectory/, FRAGMENT, 3],
    ['a user that is in no file', { text: `${SIMPLE}User=dyn\n`, user: 'dyn' }, /user dyn is not in/, FRAGMENT, 3],
    ['a group that is in no file', { text: `${SIMPLE}Group=nix\n` }, /group nix is not in/, FRAGMENT, 3],
    ['settings that systemd refuses', { text: SIMPLE, loadState: 'bad-setting' }, /cannot load/, FRAGMENT, undefined],
    [
      'a broken drop-in',
      { dropIns: { [`${FRAGMENT}.d/10-x.conf`]: '[Service\n' } },
      /section header/,
      `${FRAGMENT}.d/10-x.conf`,
      1,
    ],
    ['our own drop-in broken', { dropIns: { [OWN]: '[Service]\ngarbage\n' } }, /no assignment/, OWN, 2],
    [
      'our own drop-in with a shell',
      { dropIns: { [OWN]: '[Service]\nExecStart=\nExecStart=/bin/sh\n' } },
      /bin\/sh/,
      OWN,
      3,
    ],
    [
      'a later drop-in that would undo ours',
      { dropIns: { [`${FRAGMENT}.d/override.conf`]: '[Service]\nExecStart=\nExecStart=/usr/bin/etcd\n' } },
      /rename it to 40-override.conf/,
      `${FRAGMENT}.d/override.conf`,
      2,
    ],
    [
      'a later environment file',
      { dropIns: { [`${FRAGMENT}.d/60-x.conf`]: '[Service]\nEnvironmentFile=-/x\n' } },
      /EnvironmentFile= and is read after/,
      `${FRAGMENT}.d/60-x.conf`,
      2,
    ],
    [
      'the name of our drop-in elsewhere',
      { dropIns: { '/run/systemd/system/etcd.service.d/50-kube-mtls.conf': '[Service]\n' } },
      /own drop-in/,
      '/run/systemd/system/etcd.service.d/50-kube-mtls.conf',
      undefined,
    ],
  ];
  for (const [name, unit, message, path, line] of refusals) {
    it(`refuses ${name}`, async () => {
      await assert.rejects(load({ text: SIMPLE, ...unit }), (error) => {
        assert.ok(error instanceof NotUnderstood, String(error));
        assert.match(error.message, message);
        assert.deepEqual(error.place.path, node.path(path));
        assert.equal(error.place.line, line);
        return true;
      });
    });
  }
  it('refuses a drop-in that systemd has not loaded yet', async () => {
    await node.write(`${FRAGMENT}.d/10-new.conf`, '[Service]\nUser=kube\n');
    await assert.rejects(load({ text: SIMPLE }), /daemon-reload/);
  });
  it('fails when systemd does not answer, instead of finding nothing', async () => {
    const deps = {
      layout: node.layout,
      run: async () => ({ code: 1, stdout: '', stderr: 'Failed to connect to bus' }),
      hostname: 'cp1',
    };
    await assert.rejects(loadUnit(deps, 'etcd.service', 'etcd', new AbortController().signal), {
      reason: 'unavailable',
      message: /Failed to connect to bus/,
    });
  });
});
