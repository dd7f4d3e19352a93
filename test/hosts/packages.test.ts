import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe } from 'node:test';
import { installPackage, joinLine } from '../lab/fleet.ts';
import type { Host } from '../lab/host.ts';
import { stepsOnLab } from '../lab/steps.ts';

const REPOSITORY = join(import.meta.dirname, '../..');
const AGENT = 'kube-mtls-agent.service';
const SERVER = 'kube-mtls-server.service';

/** The packages as Debian's users meet them; the steps build on each other. */
describe('the packages', () => {
  const { lab, prepare, step } = stepsOnLab();
  let host: Host;

  prepare(async () => {
    host = await lab().boot('pk1', '10.77.0.51');
  });

  /** Values of properties of a unit, by name. */
  const show = async (unit: string, ...names: string[]): Promise<Record<string, string>> => {
    const text = await host.sh(`systemctl show ${names.map((name) => `-p ${name}`).join(' ')} ${unit}`);
    return Object.fromEntries(
      text.split('\n').flatMap((line) => (line === '' ? [] : [line.split(/=(.*)/).slice(0, 2)])),
    );
  };
  const isActive = async (unit: string) => (await show(unit, 'ActiveState')).ActiveState;
  const mainPid = async (unit: string) => (await show(unit, 'MainPID')).MainPID;
  const isEnabled = async (unit: string) => (await host.run(['systemctl', 'is-enabled', unit])).stdout.trim();
  /** Mode and owner of each path, "700 kube-mtls". */
  const modes = async (...paths: string[]) =>
    (await host.sh(`stat -c '%a %U' ${paths.join(' ')}`)).trimEnd().split('\n');
  const exists = async (path: string) => (await host.run(['test', '-e', path])).code === 0;

  step('install without starting or enabling anything', async () => {
    await installPackage(host, 'server');
    await installPackage(host, 'agent');
    for (const unit of [AGENT, SERVER]) {
      assert.equal(await isActive(unit), 'inactive', unit);
      assert.equal(await isEnabled(unit), 'disabled', unit);
    }
    assert.equal(await host.sh('systemctl --failed --no-legend'), '');
  });

  step('put commands, units and man pages in their places', async () => {
    for (const name of ['kube-mtls', 'kube-mtls-server', 'kube-mtls-agent']) {
      assert.match(await host.sh(`${name} --help`), new RegExp(`^Usage: ${name} `));
    }
    for (const page of ['man8/kube-mtls-agent.8', 'man5/kube-mtls-agent.yaml.5', 'man8/kube-mtls-server.8']) {
      assert.match(await host.sh(`zcat /usr/share/man/${page}.gz`), /^\.TH KUBE\\-MTLS\\-\w+.* "kube\\-mtls \d/);
    }
    await host.sh('zcat /usr/share/man/man5/kube-mtls-server.yaml.5.gz /usr/share/man/man1/kube-mtls.1.gz');
    await host.sh(`systemd-analyze --man=no verify ${AGENT} ${SERVER}`);
    assert.equal(await host.sh('dpkg --verify kube-mtls-agent kube-mtls-server'), '');
    const options = { NODE_OPTIONS: '--require /nowhere.js', NODE_PATH: '/nowhere' };
    const strange = Object.entries(options).map(([name, value]) => `${name}=${value}`);
    assert.equal((await host.run(['env', ...strange, 'kube-mtls-agent', '--version'])).code, 0);
  });

  step('ship configuration that the programs take', async () => {
    await host.sh('kube-mtls-agent run --check-config');
    const example = '/usr/share/doc/kube-mtls-server/examples/server.yaml';
    await host.sh(`kube-mtls-server --config ${example} --check-config`);
    assert.deepEqual(await modes('/etc/kube-mtls', '/etc/kube-mtls/agent.yaml', '/var/lib/kube-mtls-server'), [
      '755 root',
      '644 root',
      '700 kube-mtls',
    ]);
  });

  step('start nothing before init and join, also when told to', async () => {
    await host.sh(`systemctl start ${AGENT} ${SERVER}`);
    for (const unit of [AGENT, SERVER]) {
      assert.deepEqual(await show(unit, 'ActiveState', 'ConditionResult'), {
        ActiveState: 'inactive',
        ConditionResult: 'no',
      });
    }
  });

  step('run after init and join, inside of their sandboxes', async () => {
    await host.sh(`kube-mtls-server init --cluster lab --api-endpoint 10.77.0.50:6443 --advertise ${host.ip}`);
    await host.sh(`systemctl enable -q --now ${SERVER}`);
    assert.match(await host.sh('kube-mtls fleet'), /0 of 0 nodes online/);
    await host.sh(await joinLine(host, '--role etcd --node pk1'));
    await host.until('a session', async () => /, connected since/.test(await host.sh('kube-mtls-agent status')));
    assert.match(await host.sh('kube-mtls fleet'), /1 of 1 nodes online/);
    assert.equal(await isEnabled(AGENT), 'enabled');
    const secrets = '/etc/kube-mtls/ca-passphrase /etc/kube-mtls/admin /etc/kube-mtls/admin/admin.key';
    assert.deepEqual(
      await modes(secrets, '/var/lib/kube-mtls-server', '/var/lib/kube-mtls-agent', '/run/kube-mtls-agent'),
      ['600 root', '700 root', '600 root', '700 kube-mtls', '700 root', '700 root'],
    );
    const user = await host.sh(`ps -o user= -p ${await mainPid(SERVER)}`);
    assert.equal(user.trim(), 'kube-mtls');
  });

  for (const unit of [AGENT, SERVER]) {
    step(`are as exposed as packaging/README.md says: ${unit}`, async () => {
      const readme = await readFile(join(REPOSITORY, 'packaging/README.md'), 'utf8');
      const stated = new RegExp(`\`${unit.replaceAll('.', '\\.')}\` +\\| (\\d+\\.\\d)`).exec(readme)?.[1];
      const measured = /exposure level for \S+: (\d+\.\d)/.exec(
        (await host.run(['systemd-analyze', 'security', '--no-pager', unit])).stdout,
      )?.[1];
      assert.equal(measured, stated);
    });
  }

  step('upgrade over themselves: what runs goes on in the new version, and edits stay', async () => {
    await host.sh('echo "logLevel: debug" >>/etc/kube-mtls/agent.yaml');
    const before = [await mainPid(AGENT), await mainPid(SERVER)];
    await installPackage(host, 'server');
    await installPackage(host, 'agent');
    const now = [await mainPid(AGENT), await mainPid(SERVER)];
    assert.ok(!now.includes('0') && now.every((pid, index) => pid !== before[index]), `${before} ${now}`);
    assert.match(await host.read('/etc/kube-mtls/agent.yaml'), /^logLevel: debug$/m);
    await host.until('the server', async () => (await host.run(['kube-mtls', 'fleet'])).code === 0);
    assert.match(await host.sh('kube-mtls fleet'), /of 1 nodes/);
  });

  step('upgrade over themselves: what was stopped stays stopped', async () => {
    await host.sh(`systemctl stop ${AGENT}`);
    await installPackage(host, 'agent');
    assert.equal(await isActive(AGENT), 'inactive');
    assert.equal(await isEnabled(AGENT), 'enabled');
    await host.sh(`systemctl start ${AGENT}`);
  });

  step('are removed with their processes, and keep state and configuration', async () => {
    const pid = await mainPid(AGENT);
    await host.sh('dpkg -r kube-mtls-agent kube-mtls-server 2>&1', 180_000);
    assert.equal(await exists(`/proc/${pid}`), false);
    for (const path of ['/usr/sbin/kube-mtls-agent', '/usr/lib/kube-mtls-agent', '/usr/lib/kube-mtls-server']) {
      assert.equal(await exists(path), false, path);
    }
    for (const path of ['/etc/kube-mtls/agent.yaml', '/etc/kube-mtls/server.yaml', '/etc/kube-mtls/ca-passphrase']) {
      assert.equal(await exists(path), true, path);
    }
    assert.equal(await exists('/var/lib/kube-mtls-agent/enrolment.json'), true);
    assert.equal(await exists('/var/lib/kube-mtls-server/kube-mtls.db'), true);
    assert.equal(await host.sh('systemctl --failed --no-legend'), '');
  });

  step('come back as they were when they are installed again', async () => {
    await installPackage(host, 'server');
    await installPackage(host, 'agent');
    assert.equal(await isActive(SERVER), 'active');
    assert.equal(await isActive(AGENT), 'active');
    assert.match(await host.read('/etc/kube-mtls/agent.yaml'), /^logLevel: debug$/m);
  });

  step('purge the agent without what units use, and say so', async () => {
    await host.write('/etc/kube-mtls/pki/etcd/current/server.key', 'in use', '0600');
    await host.write('/etc/systemd/system/etcd.service.d/50-kube-mtls.conf', '[Service]\n');
    const said = await host.sh('dpkg -P kube-mtls-agent 2>&1', 180_000);
    assert.match(said, /nothing renews .*\n.*\/etc\/kube-mtls\/pki\n.*\/etc\/systemd\/system\/etcd\.service\.d\/50-/);
    assert.equal(await exists('/etc/kube-mtls/pki/etcd/current/server.key'), true);
    for (const path of ['/var/lib/kube-mtls-agent', '/etc/kube-mtls/agent.yaml']) {
      assert.equal(await exists(path), false, path);
    }
    assert.equal(await host.sh(`find /etc/systemd /var/lib/systemd -name '*kube-mtls-agent*'`), '');
    assert.equal(await isActive(SERVER), 'active');
  });

  step('purge the server with its authorities, and say so', async () => {
    const said = await host.sh('dpkg -P kube-mtls-server 2>&1', 180_000);
    assert.match(said, /keys of the fleet's authorities are deleted/);
    assert.equal(await exists('/var/lib/kube-mtls-server'), false);
    assert.equal(await host.sh('ls /etc/kube-mtls'), 'pki\n');
    assert.equal(await host.sh(`find /etc/systemd /var/lib/systemd -name '*kube-mtls-server*'`), '');
    assert.equal(await host.sh('systemctl --failed --no-legend'), '');
  });
});
