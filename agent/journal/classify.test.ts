import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import type { Component } from '../../common/names/names.ts';
import { classify } from './classify.ts';
import type { Finding } from './finding.ts';

const API = 'kube-apiserver';
const HEAD = 'E1124 10:14:03.054501     163 file.go:53] ';
const CALLED = 'https://10.77.0.10:6443/api/v1/nodes';
const CLIENT_CA = '/etc/kube-mtls/pki/kube-apiserver/current/client-ca.crt';

/** "failure expired own fatal", "success serving", "noise", "nothing". */
function gist(finding: Finding | undefined): string {
  if (finding === undefined) return 'nothing';
  if (finding.role === 'success') return `success ${finding.sign}`;
  if (finding.role === 'noise') return 'noise';
  return `failure ${finding.cause} ${finding.fault}${finding.fatal ? ' fatal' : ''}`;
}

function say(speaker: Component, message: string, fromSystemd = false): Finding | undefined {
  return classify(speaker, { message, fromSystemd });
}

function rejected(error: string): string {
  return `rejected connection from "10.77.0.11:52402" (error ${JSON.stringify(error)}, ServerName "")`;
}

/** Rows of a fixture of three columns, the last one a line with whatever it holds. */
function table(file: string): [string, string, string][] {
  const text = readFileSync(new URL(`./fixtures/${file}`, import.meta.url), 'utf8');
  const rows = text.split('\n').filter((row) => row !== '' && !row.startsWith('#'));
  return rows.map((row) => {
    const [first = '', second = '', ...rest] = row.split('\t');
    return [first, second, rest.join('\t')];
  });
}

function isSpeaker(text: string): text is Component {
  return ['etcd', 'kube-apiserver', 'kubelet', 'kube-controller-manager', 'kube-scheduler'].includes(text);
}

describe('classify', () => {
  for (const [server, client, error] of table('vocabulary.tsv')) {
    it(`reads a server's and a client's "${error.slice(0, 90)}"`, () => {
      const atServer = say('etcd', rejected(error));
      const atClient = say('kubelet', `${HEAD}failed to update lease, error: Put "${CALLED}": ${error}`);
      assert.deepEqual([gist(atServer), gist(atClient)], [server, client]);
    });
  }

  for (const [speaker, means, line] of table('messages.tsv')) {
    assert.ok(isSpeaker(speaker), speaker);
    it(`${speaker} ${line.slice(0, 100)}: ${means}`, () => assert.equal(gist(say(speaker, line)), means));
  }

  for (const [line, means] of [
    ['etcd.service: Main process exited, code=exited, status=1/FAILURE', 'failure start-failed own fatal'],
    ['etcd.service: Main process exited, code=killed, status=9/KILL', 'failure start-failed own fatal'],
    ['etcd.service: Main process exited, code=exited, status=0/SUCCESS', 'noise'],
    ["etcd.service: Failed with result 'exit-code'.", 'failure start-failed own fatal'],
    ['etcd.service: start operation timed out. Terminating.', 'failure start-failed own fatal'],
    ['etcd.service: Start request repeated too quickly.', 'failure start-failed own fatal'],
    ['etcd.service: Scheduled restart job, restart counter is at 1.', 'nothing'],
    ['Failed to start etcd.service - etcd.', 'failure start-failed own fatal'],
    ['Started etcd.service - etcd.', 'success loaded'],
  ] as const) {
    it(`systemd ${line}: ${means}, and nothing when etcd itself writes it`, () => {
      assert.equal(gist(say('etcd', line, true)), means);
      assert.equal(gist(say('etcd', line)), 'nothing');
    });
  }

  it('takes the word of the child that systemd could not make the component', () => {
    const line = 'etcd.service: Failed at step EXEC spawning /usr/bin/etcd: No such file or directory';
    assert.equal(gist(say('etcd', line)), 'failure start-failed own fatal');
  });

  it('says which file, who and what to do', () => {
    const missing = say('etcd', 'open /etc/etcd/none.crt: no such file or directory');
    assert.equal(missing?.path, '/etc/etcd/none.crt');
    assert.match(missing?.explanation ?? '', /^the component itself: .*\(\/etc\/etcd\/none\.crt\); check the path/);
    const bundle = say(
      API,
      `Error: error loading CA bundle for "client-ca-bundle::${CLIENT_CA}": data does not contain any valid RSA or ECDSA certificates`,
    );
    assert.equal(bundle?.path, CLIENT_CA);
    const client = say('etcd', rejected('x509: certificate signed by unknown authority'));
    assert.equal(client?.remote, '10.77.0.11:52402');
    assert.match(client?.explanation ?? '', /^the client 10\.77\.0\.11: /);
    const server = say(
      'kubelet',
      `${HEAD}failed to update lease, error: Put "https://api.example/x": x509: certificate signed by unknown authority`,
    );
    assert.equal(server?.remote, 'api.example:443');
    assert.equal(server?.about, 'kube-apiserver');
  });

  it('is not fooled by the server name that a client chose', () => {
    const name = '\\" (error \\"open /etc/etcd/ca.crt: no such file or directory';
    const line = `rejected connection from "10.77.0.66:1" (error "EOF", ServerName "${name}")`;
    assert.equal(gist(say('etcd', line)), 'noise');
  });

  it('is not fooled by what a stranger wrote into the names of its certificates', () => {
    const lie = 'failed: x509: certificate has expired or is not yet valid';
    const expired = `x509: certificate signed by unknown authority (possibly because of "x" while trying to verify candidate authority certificate "${lie}")`;
    assert.equal(gist(say('etcd', rejected(expired))), 'failure unknown-authority peer-client');
    const first = 'x509: certificate is valid for x509: certificate signed by unknown authority, not 10.77.0.10';
    assert.equal(gist(say('etcd', rejected(first))), 'failure wrong-name peer-client');
    const evil = 'failed: open /etc/etcd/ca.crt: no such file or directory';
    const hint = `x509: certificate signed by unknown authority (possibly because of "x" while trying to verify candidate authority certificate "${evil}")`;
    assert.equal(gist(say('etcd', rejected(hint))), 'failure unknown-authority peer-client');
    const names = `x509: certificate is valid for ${evil}, not 10.77.0.10`;
    assert.equal(
      gist(say('kubelet', `${HEAD}failed to update lease, error: Put "${CALLED}": ${names}`)),
      'failure wrong-name peer-server',
    );
  });

  it('is not fooled by the protocols that a client asked for', () => {
    const error = (protocol: string) => `tls: client requested unsupported application protocols ([${protocol}])`;
    for (const lie of [
      'failed: x509: certificate has expired or is not yet valid',
      'open /x: permission denied',
      ': no serving certificate available for the kubelet',
    ]) {
      assert.equal(gist(say('etcd', rejected(error(lie)))), 'noise');
      assert.equal(gist(say('kubelet', `${HEAD}http: TLS handshake error from 10.77.0.66:1: ${error(lie)}`)), 'noise');
    }
  });

  it('is not fooled by a token that names a file', () => {
    const audience = 'tls: private key does not match public key';
    const err = `"[invalid bearer token, oidc: verify token: oidc: expected audience \\"k8s\\" got [\\"${audience}\\"]]"`;
    assert.equal(gist(say(API, `${HEAD}"Unable to authenticate the request" err=${err}`)), 'nothing');
  });

  it('is not fooled into taking a failure for that of a webhook', () => {
    const names = 'x509: certificate is valid for failed calling webhook x, not 10.77.0.10';
    const finding = say('kubelet', `${HEAD}failed to update lease, error: Put "${CALLED}": ${names}`);
    assert.deepEqual([gist(finding), finding?.remote], ['failure wrong-name peer-server', '10.77.0.10:6443']);
  });

  it('takes no word of an event, whose text tenants write', () => {
    const event = `'&v1.Event{Message:"x509: certificate signed by unknown authority"}': 'Unauthorized'`;
    for (const head of ['Unable to write event: ', 'Server rejected event ']) {
      assert.equal(gist(say('kube-controller-manager', `${HEAD}${head}${event}`)), 'nothing');
    }
  });

  it('does not look at the severity', () => {
    for (const letter of 'IWEF') {
      const line = `${letter}1124 10:14:03.054501     163 log.go:1] http: TLS handshake error from 10.77.0.10:5: remote error: tls: bad certificate`;
      assert.equal(gist(say('kubelet', line)), 'failure refused-by-peer own');
    }
  });

  it('reads 16 KiB of anything in no time', () => {
    const heads = [
      '{"msg":"',
      'rejected connection from "',
      `${HEAD}"`,
      `${HEAD}Failed to watch `,
      '',
      'x509: certificate is valid for ',
      `${HEAD}http: TLS handshake error from 10.77.0.66:1: tls: client requested unsupported application protocols ([`,
    ];
    const started = process.threadCpuUsage();
    for (const head of heads) {
      for (const filler of [
        '\\',
        '"',
        ' a="',
        'failed: ',
        ' (possibly because of "',
        'Get "https://',
        '[core] ',
        'leases.',
        '(https://',
      ]) {
        const message = (head + filler.repeat(16_384)).slice(0, 16_384);
        for (const speaker of ['etcd', API, 'kubelet', 'kube-scheduler', 'kube-proxy'] as const) say(speaker, message);
      }
    }
    const { user, system } = process.threadCpuUsage(started);
    assert.ok(user + system < 5_000_000, `${user + system} µs`);
  });
});
