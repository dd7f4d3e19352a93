/** Joining with what attackers and tired operators bring, on a real host with the real packages. */
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { installPackage, joinLine, startServer } from '../lab/fleet.ts';
import { FleetView } from '../lab/fleet-view.ts';
import type { Host } from '../lab/host.ts';
import { Operator } from '../lab/operator.ts';
import { stepsOnLab } from '../lab/steps.ts';

describe('joining a fleet', () => {
  const { lab, prepare, step, atEnd } = stepsOnLab();
  let server: Host;
  let node: Host;
  let operator: Operator;

  prepare(async () => {
    server = await lab().boot('js', '10.77.0.41');
    node = await lab().boot('jn', '10.77.0.42');
    await startServer(server, { cluster: 'join', apiEndpoint: `${server.ip}:6443`, peerWatch: '1s' });
    await installPackage(node, 'agent');
    operator = await Operator.of(server);
  });
  atEnd(() => operator?.close());

  const join = (line: string) => node.run(['bash', '-c', line]);
  const refusals = async () => {
    const { events = [] } = JSON.parse(await operator.call('FleetService/ListEvents', { kind: 'enrol' }));
    return (events as { kind: string; message: string; reason?: string }[]).filter(
      ({ kind }) => kind === 'enrol.refused',
    );
  };

  step('stops at a wrong pin before the token is sent', async () => {
    const line = await joinLine(server, '--role etcd --node jn');
    const result = await join(line.replace(/sha256:[0-9a-f]{64}/, `sha256:${'0'.repeat(64)}`));
    assert.equal(result.code, 1);
    assert.match(result.stderr, /not the pinned server.*the token was not sent/);
    assert.deepEqual(await refusals(), [], 'the server heard of a token');
  });

  const tokens: [what: string, prepare: () => Promise<string>, said: RegExp][] = [
    [
      'a malformed token',
      async () => (await joinLine(server, '--role etcd --node jn')).replace(/--token \S+/, '--token nonsense'),
      /token/,
    ],
    [
      'a wrong secret',
      async () =>
        (await joinLine(server, '--role etcd --node jn')).replace(/(--token \w+)\.\w+/, `$1.${'a'.repeat(32)}`),
      /token/,
    ],
    [
      'a token for another node',
      () =>
        joinLine(server, '--role etcd --node other').then((line) =>
          line.replace('--node-name other', '--node-name jn'),
        ),
      /jn/,
    ],
    [
      'a revoked token',
      async () => {
        const line = await joinLine(server, '--role etcd --node jn');
        await server.sh(`kube-mtls token revoke ${/--token (\w+)\./.exec(line)?.[1]}`);
        return line;
      },
      /token/,
    ],
    ['a token from another network', () => joinLine(server, '--role etcd --node jn --network 192.0.2.0/24'), /./],
  ];
  for (const [what, prepare, said] of tokens) {
    step(`refuses ${what}, tells the audit, and stays up`, async () => {
      const before = (await refusals()).length;
      const result = await join(await prepare());
      assert.equal(result.code, 1, result.stdout);
      assert.match(result.stderr, said);
      assert.equal((await refusals()).length, before + 1);
      assert.equal((await node.run(['systemctl', 'is-active', 'kube-mtls-agent'])).stdout.trim(), 'inactive');
      assert.equal((await server.run(['kube-mtls', 'fleet'])).code, 0);
    });
  }

  step('joins once with a token, and refuses it to another key', async () => {
    const line = await joinLine(server, '--role etcd --node jn');
    const first = await join(line);
    assert.equal(first.code, 0, first.stderr);
    const again = await join(line);
    assert.equal(again.code, 1, 'a used-up token with another key was taken');
    await new FleetView(operator).node('jn');
  });

  step('leaves no secret in the journal, in arguments or in files that others can read', async () => {
    const logs = await server.sh(
      'journalctl --no-pager -o cat -u kube-mtls-server; { cat /proc/[0-9]*/cmdline 2>/dev/null || true; } | tr "\\0" " "',
    );
    assert.doesNotMatch(logs, /PRIVATE KEY|\b[a-z0-9]{8}\.[a-z0-9]{32}\b/);
    const open = await server.sh(
      'find /var/lib/kube-mtls-server /etc/kube-mtls -name "*.key" -perm /077; find /etc/kube-mtls/ca-passphrase -perm /077',
    );
    assert.equal(open, '');
    assert.equal(await node.sh('find /var/lib/kube-mtls-agent -type f -perm /077 ! -name "*.crt"'), '');
  });

  step('retries with backoff while the server is away, says so in status, and comes back', async () => {
    await server.sh('systemctl stop kube-mtls-server');
    await node.until('two failed attempts', async () => {
      const text = await node.sh('kube-mtls-agent status');
      return /not connected since .*, ([2-9]|\d\d+) attempts: ./.test(text);
    });
    assert.equal((await node.run(['systemctl', 'is-active', 'kube-mtls-agent'])).stdout.trim(), 'active');
    await server.sh('systemctl start kube-mtls-server');
    await node.until(
      'the session',
      async () => /, connected since/.test(await node.sh('kube-mtls-agent status')),
      180_000,
    );
  });

  step('refuses callers without a certificate in TLS', async () => {
    const bare = await operator.curl([operator.url('kubemtls.v1.FleetService/GetFleetStatus')], false);
    assert.notEqual(bare.code, 0);
    const raw = await server.sh(
      `printf 'PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n' | timeout 5 openssl s_client -quiet -alpn h2 -connect ${server.ip}:9444 2>&1 || true`,
    );
    assert.match(raw, /alert/);
  });

  step('answers list and describe by reflection', async () => {
    const list = await operator.curl(['--list-services', operator.url()]);
    assert.match(list.stdout, /kubemtls\.v1\.FleetService/, list.stderr);
    const methods = await operator.curl(['--list-methods', operator.url()]);
    assert.match(methods.stdout, /kubemtls\.v1\.FleetService\/GetNode/, methods.stderr);
  });

  step('names an etcd configuration that it does not understand, with its line, and touches nothing', async () => {
    await node.write('/etc/default/etcd', 'ETCD_NAME=jn\nETCD_LISTEN_CLIENT_URLS="http://127.0.0.1:2379\n');
    await node.sh('systemctl enable -q etcd; systemctl start etcd || true');
    const result = await node.run(['kube-mtls-agent', 'plan']);
    assert.equal(result.code, 3, result.stdout + result.stderr);
    assert.match(result.stdout, /\/etc\/default\/etcd:2/);
    assert.equal((await node.run(['ls', '/etc/systemd/system/etcd.service.d'])).code, 2);
  });
});
