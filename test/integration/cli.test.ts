import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fromJson } from '@bufbuild/protobuf';
import { systemClock } from '../../common/time/clock.ts';
import { until } from '../../common/time/until-for-tests.ts';
import { GetFleetStatusResponseSchema } from '../../proto/gen/kubemtls/v1/fleet_pb.js';
import { AgentMode, CheckKind, CheckResult, Component, ComponentState } from '../../proto/gen/kubemtls/v1/types_pb.js';
import { runCommandLine } from '../../server/cli/run-command-line.ts';
import { startTestServer, type TestServer } from './server-fixture.ts';

const main = join(import.meta.dirname, '../../server/cli/main.ts');
let server: TestServer;
/** An agent that is silent is taken for gone. */
let beats: NodeJS.Timeout;

before(async () => {
  server = await startTestServer();
  const agent = server.connect(await server.enrol('w1', 'worker', ['10.0.0.11'])).agent.session();
  const evidence = [{ source: 'journal kubelet.service', line: 'x509: \u001b[31munknown authority' }];
  const kubelet = {
    component: Component.KUBELET,
    state: ComponentState.PENDING,
    unit: 'kubelet.service',
    reason: 'new certificates wait',
    checks: [{ kind: CheckKind.JOURNAL, result: CheckResult.FAILED, summary: 'it complains', evidence }],
  };
  agent.write({
    message: { case: 'hello', value: { mode: AgentMode.ENFORCE, agentVersion: '0.1.0', components: [kubelet] } },
  });
  beats = setInterval(() => agent.write({ message: { case: 'heartbeat', value: {} } }), 1000);
  await until(async () => (await server.store.listStatuses()).length === 1, 'the status is stored');
});
after(() => {
  clearInterval(beats);
  return server.close();
});

describe('kube-mtls', () => {
  it('prints the fleet as a table', async () => {
    const { stdout } = await cli('fleet');
    assert.match(stdout, /^cluster lab: 1 of 1 nodes online, 0 of 1 components verified; rollout running\n/);
    assert.match(stdout, /^NODE +ROLE +ADDRESSES +ONLINE +EXPIRES +COMPONENT +STATE +REASON$/m);
    assert.match(stdout, /^w1 +worker +10\.0\.0\.11 +yes +in \d+d +kubelet +PENDING +new certificates wait$/m);
    assert.match(stdout, /^kubernetes +CN=.*sha256:[0-9a-f]{64}$/m);
  });

  it('prints JSON that is the answer of the API', async () => {
    const { stdout } = await cli('fleet', '-o', 'json');
    assert.equal(fromJson(GetFleetStatusResponseSchema, JSON.parse(stdout)).cluster, 'lab');
  });

  it('prints a node with its checks, and no control characters of its agent', async () => {
    const { stdout } = await cli('node', 'w1');
    assert.match(stdout, /^kubelet {2}\(kubelet.service\) {2}PENDING: new certificates wait$/m);
    assert.match(stdout, /^ {2}FAILED +journal +it complains$/m);
    assert.match(stdout, /journal kubelet.service: x509: {2}?\[31munknown authority/);
    assert.equal(stdout.includes('\u001b'), false);
  });

  it('prints the join line and nothing else', async () => {
    const { stdout } = await cli('token', 'create', '--role', 'worker', '--node', 'w2', '--print-join');
    assert.match(
      stdout,
      /^kube-mtls-agent join 127\.0\.0\.1:\d+ --token \S+ --ca-hash sha256:[0-9a-f]{64} --node-name w2\n$/,
    );
  });

  it('makes, lists and revokes tokens', async () => {
    const made = await cli(
      'token',
      'create',
      '--role',
      'etcd',
      '--ttl',
      '2h',
      '--uses',
      '3',
      '--network',
      '10.0.0.0/8',
    );
    const id = /^token ([a-z0-9]+)\./.exec(made.stdout)?.[1] ?? '';
    assert.match(
      (await cli('token', 'list')).stdout,
      new RegExp(`^${id} +etcd +any +0/3 +expires in (1h|2h) +10.0.0.0/8`, 'm'),
    );
    assert.equal((await cli('token', 'revoke', id)).stdout, `token ${id} is revoked\n`);
    assert.match((await cli('token', 'list')).stdout, new RegExp(`^${id} .* revoked `, 'm'));
    assert.match((await cli('token', 'revoke', 'nothing1')).stderr, /there is no such token/);
  });

  it('lists certificates and events with their filters', async () => {
    const all = await cli('certificates', '--node', 'w1');
    assert.equal(all.stdout.trim().split('\n').length, 2, all.stdout);
    assert.equal((await cli('certificates', '--expiring-within', '1h')).stdout.trim().split('\n').length, 1);
    const events = await cli('events', '--kind', 'enrol', '--node', 'w1');
    assert.match(events.stdout, /enrol\.accepted +token\//);
  });

  it('pauses and resumes the rollout', async () => {
    assert.match((await cli('rollout', 'pause', '--reason', 'lunch')).stdout, /^rollout paused since .*: lunch\n/);
    assert.match((await cli('rollout', 'status')).stdout, /paused/);
    assert.match((await cli('rollout', 'resume')).stdout, /^rollout running\nno permit is held\n$/);
    const without = await cli('rollout', 'resume', '--without', 'w1');
    assert.match(without.stdout, /^rollout running\nleft out: w1\nno permit is held\n$/);
    assert.match((await cli('fleet')).stdout, /w1 is left out of the rollout; "kube-mtls rollout resume --let-in w1"/);
    assert.match((await cli('rollout', 'resume', '--let-in', 'w1')).stdout, /^rollout running\nno permit is held\n$/);
  });

  it('tells the CAs, begins a change of roots, and says what it waits for', async () => {
    assert.match((await cli('authority', 'list')).stdout, /^kubernetes +issuing +here +in \d+d +CN=/m);
    assert.equal((await cli('authority', 'status')).stdout, 'no change of roots is under way\n');
    const { stdout } = await cli('authority', 'rotate', '--authority', 'kubernetes');
    assert.match(stdout, /^change of roots of kubernetes: phase trust since /);
    assert.match(stdout, /^ {2}w1: kubelet does not trust the new kubernetes CA yet$/m);
    const early = await cli('authority', 'advance');
    assert.notEqual(early.code, 0, early.stdout);
    assert.match(early.stderr, /the phase trust is not complete on every node: w1: kubelet/);
    assert.match((await cli('authority', 'list')).stdout, /^kubernetes +trusted/m);
  });

  it('removes a node, says what is left to do, and shows that it is removed', async () => {
    await server.enrol('w9', 'worker', ['10.0.0.19']);
    const { stdout } = await cli('node', 'remove', 'w9');
    assert.match(stdout, /^w9 is removed from the fleet/);
    assert.match(stdout, /certificates that it has stay valid until they end/);
    assert.match(stdout, /^ {2}kubectl delete node w9$/m);
    assert.match(stdout, /if it was hostile: kube-mtls authority rotate/);
    assert.equal((await cli('node', 'remove', 'w9')).stdout, stdout);
    assert.match((await cli('nodes')).stdout, /^w9 +worker +10\.0\.0\.19 +removed, seen \d/m);
    assert.match((await cli('node', 'w9')).stdout, /^w9 {2}worker {2}10\.0\.0\.19 {2}removed, seen \d/);
    assert.doesNotMatch((await cli('fleet')).stdout, /w9/);
  });

  const mistakes: [string, string[], RegExp][] = [
    ['the removal of an unknown node', ['node', 'remove', 'nobody'], /^kube-mtls: there is no node nobody; /],
    ['the removal of no node', ['node', 'remove'], /missing required argument 'name'/],
    ['an unknown node', ['node', 'nobody'], /^kube-mtls: there is no node nobody; "kube-mtls nodes" lists them\n$/],
    ['a duration without a unit', ['certificates', '--expiring-within', '30'], /write it with a unit/],
    ['a role that is none', ['token', 'create', '--role', 'boss'], /Allowed choices are control-plane, worker, etcd/],
    ['a lifetime out of bounds', ['token', 'create', '--role', 'worker', '--ttl', '31d'], /1m to 30d/],
    ['no server there', ['--server', '127.0.0.1:1', 'fleet'], /ECONNREFUSED[\s\S]*is kube-mtls-server running there/],
    ['no credentials', ['--credentials', '/nowhere', 'fleet'], /cannot read \/nowhere\/ca.crt.*--credentials/],
  ];
  it('is a program that prints to its outputs, and ends with a status', async () => {
    const rows: [args: string[], code: number, stdout: RegExp, stderr: RegExp][] = [
      [['nodes', '-o', 'json'], 0, /^\{\n {2}"nodes": \[[\s\S]*\}\n$/, /^$/],
      [['node', 'nobody'], 1, /^$/, /^kube-mtls: there is no node nobody; /],
      [['token', 'create', '--role', 'boss'], 1, /^$/, /^error: option '--role <role>' argument 'boss' is invalid/],
    ];
    for (const [args, code, stdout, stderr] of rows) {
      const ended = await program(...args);
      assert.equal(ended.code, code, args.join(' '));
      assert.match(ended.stdout, stdout);
      assert.match(ended.stderr, stderr);
    }
  });

  it('prints its help and its version without a server', async () => {
    const help = await cli('token', '--help');
    assert.deepEqual([help.code, help.stderr], [0, '']);
    assert.match(help.stdout, /^Usage: kube-mtls token [\s\S]*--credentials <folder>/);
    const nothing = await cli();
    assert.deepEqual([nothing.code, nothing.stdout], [1, '']);
    assert.match(nothing.stderr, /^Usage: kube-mtls /);
  });

  for (const [what, args, message] of mistakes) {
    it(`says what to do about ${what}, and fails`, async () => {
      const { code, stdout, stderr } = await cli(...args);
      assert.notEqual(code, 0);
      assert.equal(stdout, '');
      assert.match(stderr, message);
    });
  }
});

interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

/** In this process: to start one takes a second, and there are many. */
async function cli(...args: string[]): Promise<Ended> {
  let [stdout, stderr] = ['', ''];
  const code = await runCommandLine([...place(), ...args], {
    clock: systemClock,
    writeOut: (text) => {
      stdout += text;
    },
    writeErr: (text) => {
      stderr += text;
    },
  });
  return { code, stdout, stderr };
}

/** In a process of its own, as operators do. */
function program(...args: string[]): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(process.execPath, [main, ...place(), ...args], (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), stdout, stderr });
    });
  });
}

function place(): string[] {
  return ['--server', `127.0.0.1:${server.fleetPort}`, '--credentials', server.adminFolder];
}
