/** `cfssl serve` of Debian's package golang-cfssl: the peer that signs the same kind of request. */
import { writeFile } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { AppError } from '../../common/errors/app-error.ts';
import { createCsr } from '../../common/x509/csr.ts';
import { generateKey } from '../../common/x509/keys.ts';
import { createAuthority, newSerial } from '../../common/x509/sign.ts';
import type { Caller } from './closed-loop.ts';
import { freePort, startProgram } from './program.ts';

/** The daemon with callers. */
export interface Cfssl {
  pid: number;
  /** Each posts a request of its own, prepared, over a connection that is kept. */
  callers: Caller[];
  stop(): Promise<void>;
}

const DAY_MS = 24 * 60 * 60_000;
/** Uses and lifetime as an API server's serving certificate of ours. */
const CONFIG = {
  signing: { default: { usages: ['digital signature', 'server auth'], expiry: '8760h', backdate: '5m' } },
};

/** Starts it with a P-256 CA, quietly (-loglevel 3), which is the faster way for it. */
export async function startCfssl(folder: string, count: number, signal: AbortSignal): Promise<Cfssl> {
  const file = (name: string) => join(folder, name);
  const validity = { notBefore: new Date(Date.now() - DAY_MS), notAfter: new Date(Date.now() + 3650 * DAY_MS) };
  const authority = { commonName: 'kubernetes', serial: newSerial(), algorithm: 'ecdsa-p256', ...validity } as const;
  const { certificate, key } = await createAuthority(authority);
  await writeFile(file('ca.pem'), certificate.pem);
  await writeFile(file('ca-key.pem'), key.pem, { mode: 0o600 });
  await writeFile(file('config.json'), JSON.stringify(CONFIG));
  const bodies = await Promise.all(Array.from({ length: count }, () => requestBody()));

  const port = await freePort();
  const flags = ['-address=127.0.0.1', `-port=${port}`, '-loglevel=3', `-config=${file('config.json')}`];
  const program = await startProgram(
    ['cfssl', 'serve', ...flags, `-ca=${file('ca.pem')}`, `-ca-key=${file('ca-key.pem')}`],
    port,
    signal,
  );
  const agent = new Agent({ keepAlive: true, maxSockets: count });
  return {
    pid: program.pid,
    callers: bodies.map((body) => async () => {
      await sign(agent, port, body);
      return 1;
    }),
    async stop() {
      agent.destroy();
      await program.stop();
    },
  };
}

/** With the names that an API server's certificate has. */
async function requestBody(): Promise<string> {
  const names = ['cp1', 'kubernetes', 'kubernetes.default', 'kubernetes.default.svc'];
  const dnsNames = [...names, 'kubernetes.default.svc.cluster.local'];
  const csr = createCsr(await generateKey('ecdsa-p256'), {
    commonName: 'kube-apiserver',
    dnsNames,
    ipAddresses: ['10.9.0.1', '10.96.0.1', '127.0.0.1'],
  });
  return JSON.stringify({ certificate_request: csr });
}

/** Rejects 'internal' with the answer when it is no certificate. */
function sign(agent: Agent, port: number, body: string): Promise<void> {
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
  const options = { agent, headers, host: '127.0.0.1', port, path: '/api/v1/cfssl/sign', method: 'POST' };
  return new Promise((resolve, reject) => {
    const call = request(options, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => {
        if (text.includes('BEGIN CERTIFICATE')) resolve();
        else reject(new AppError('internal', `cfssl answered ${response.statusCode}: ${text.slice(0, 500)}`));
      });
    });
    call.on('error', reject);
    call.end(body);
  });
}
