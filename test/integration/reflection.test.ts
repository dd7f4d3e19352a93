import assert from 'node:assert/strict';
import { type ExecException, execFile } from 'node:child_process';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { until } from '../../common/time/until-for-tests.ts';
import { startTestServer, type TestServer } from './server-fixture.ts';

const run = promisify(execFile);
const buf = join(import.meta.dirname, '../../node_modules/.bin/buf');
const protos = join(import.meta.dirname, '../../proto');
let server: TestServer;
let files: { ca: string; cert: string; key: string };

before(async () => {
  server = await startTestServer();
  const path = (name: string) => join(server.adminFolder, name);
  files = { ca: path('ca.crt'), cert: path('admin.crt'), key: path('admin.key') };
});
after(() => server.close());

describe('a client that has no .proto file', () => {
  for (const protocol of ['grpc-v1', 'grpc-v1alpha']) {
    it(`lists and describes the services through reflection ${protocol}`, async () => {
      const listed = await curl(['--reflect', '--reflect-protocol', protocol, '--list-methods', url('')]);
      for (const method of ['FleetService/GetFleetStatus', 'TokenService/CreateToken', 'AgentService/Session']) {
        assert.match(listed, new RegExp(`kubemtls.v1.${method}`));
      }
      assert.match(listed, /grpc.health.v1.Health\/Check/);
    });
  }

  it('calls GetFleetStatus and reads the answer as JSON', async () => {
    const answer = JSON.parse(
      await curl(['--reflect', '--data', '{}', url('/kubemtls.v1.FleetService/GetFleetStatus')]),
    );
    assert.equal(answer.cluster, 'lab');
    assert.equal(answer.authorities.length, 4);
  });

  it('is told the reason of a refusal', async () => {
    const call = curl(['--reflect', '--data', '{"name": "nobody"}', url('/kubemtls.v1.FleetService/GetNode')]);
    await assert.rejects(call, /not_found[\s\S]*there is no node nobody/);
  });

  it('gets nowhere without a certificate', async () => {
    const schema = ['--schema', protos, '--data', '{}', url('/kubemtls.v1.FleetService/GetFleetStatus')];
    assert.match(await curl(schema), /"cluster": ?"lab"/);
    const before = server.logged.length;
    // in TLS 1.3 the client may be writing already when it is refused, and then tells of a broken pipe instead of the alert
    const refused = run(buf, ['curl', '--protocol', 'grpc', '--cacert', files.ca, ...schema]);
    await assert.rejects(refused, ({ code, stdout }: ExecException) => code !== 0 && stdout === '');
    await until(() => server.logged.length > before, 'the server has refused it');
    for (const [message, { detail }] of server.logged.slice(before)) {
      assert.equal(message, 'tls handshake failed', 'a call came through');
      assert.match(detail ?? '', /peer did not return a certificate/);
    }
  });
});

async function curl(args: string[]): Promise<string> {
  const tls = ['--cacert', files.ca, '--cert', files.cert, '--key', files.key];
  const { stdout } = await run(buf, ['curl', '--protocol', 'grpc', ...tls, ...args]);
  return stdout;
}

function url(path: string): string {
  return `https://localhost:${server.fleetPort}${path}`;
}
