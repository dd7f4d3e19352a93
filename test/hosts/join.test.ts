/** Joining with what attackers and tired operators bring, on a real host with the real packages. */
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { hasIterations } from '../../common/x509/x509-for-tests.ts';
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
  /** The refusals after so many, "REASON: MESSAGE". */
  const refusalsSince = async (count: number) => {
    const all = await refusals();
    // the newest comes first
    return all.slice(0, all.length - count).map(({ reason, message }) => `${reason}: ${message}`);
  };

  step('stops at a wrong pin before the token is sent', async () => {
    const line = await joinLine(server, '--role etcd --node jn');
    const result = await join(line.replace(/sha256:[0-9a-f]{64}/, `sha256:${'0'.repeat(64)}`));
    assert.equal(result.code, 1);
    assert.match(result.stderr, /not the pinned server.*the token was not sent/);
    assert.deepEqual(await refusals(), [], 'the server heard of a token');
  });

  /** What the caller is told of any token that is not good: the audit alone learns why. */
  const NOT_VALID = 'the token is not valid: make one with "kube-mtls token create --print-join" on the server';
  const lineFor = (options = '') => joinLine(server, `--role etcd --node jn ${options}`);
  const tokens: [what: string, prepare: () => Promise<string>, audit: string, said?: string][] = [
    [
      'a malformed token',
      async () => (await lineFor()).replace(/--token \S+/, '--token nonsense'),
      'unauthenticated: the token is malformed',
    ],
    [
      'a wrong secret',
      async () => (await lineFor()).replace(/(--token \w+)\.\w+/, `$1.${'a'.repeat(32)}`),
      'unauthenticated: the secret of the token is wrong',
    ],
    [
      'a token for another node',
      async () => (await joinLine(server, '--role etcd --node other')).replace('--node-name other', '--node-name jn'),
      'policy-refused: the token is not for a node called jn: make one with --node jn',
      'the token is not for a node called jn: make one with --node jn',
    ],
    [
      'a revoked token',
      async () => {
        const line = await lineFor();
        await server.sh(`kube-mtls token revoke ${/--token (\w+)\./.exec(line)?.[1]}`);
        return line;
      },
      'unauthenticated: the token was revoked',
    ],
    [
      'a token from another network',
      () => lineFor('--network 192.0.2.0/24'),
      'policy-refused: the token may not be used from 10.77.0.42: make one for this network',
      'the token may not be used from 10.77.0.42: make one for this network',
    ],
  ];
  for (const [what, prepare, audit, said = NOT_VALID] of tokens) {
    step(`refuses ${what}, tells the audit why, and stays up`, async () => {
      const before = (await refusals()).length;
      const result = await join(await prepare());
      assert.equal(result.code, 1, result.stdout);
      assert.equal(result.stderr, `kube-mtls-agent: ${said}\n`);
      assert.deepEqual(await refusalsSince(before), [audit]);
      assert.equal((await node.run(['systemctl', 'is-active', 'kube-mtls-agent'])).stdout.trim(), 'inactive');
      assert.equal((await server.run(['kube-mtls', 'fleet'])).code, 0);
    });
  }

  step('joins once with a token, and refuses it to another key', async () => {
    const line = await lineFor();
    const first = await join(line);
    assert.equal(first.code, 0, first.stderr);
    const before = (await refusals()).length;
    const again = await join(line);
    assert.equal(again.code, 1, 'a used-up token with another key was taken');
    assert.equal(again.stderr, `kube-mtls-agent: ${NOT_VALID}\n`);
    assert.deepEqual(await refusalsSince(before), ['unauthenticated: the token is used up']);
    await new FleetView(operator).node('jn');
  });

  step('keeps the keys of the CAs under 600,000 rounds', async () => {
    for (const authority of ['fleet', 'kubernetes', 'etcd', 'front-proxy']) {
      const pem = await server.read(`/var/lib/kube-mtls-server/ca/${authority}.key`);
      assert.ok(hasIterations(pem, 600_000), authority);
    }
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
