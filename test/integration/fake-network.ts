/** The network of a fake cluster: components listen on real ports of loopback, under the addresses of their machines. */

import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server, type ServerOptions } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { hostPort } from '../../agent/verify/endpoints.ts';
import { type Probe, probe } from '../../agent/verify/probe.ts';

/** What a listener serves with. */
export interface TlsFiles {
  cert: string;
  key: string;
  /** Roots of the callers that it knows. */
  ca: string;
}

/** Who calls. */
export interface FakeCaller {
  /** Common name of a certificate that the roots of the listener vouch for; undefined for anybody else. */
  user: string | undefined;
  /** True when a certificate was shown, whoever signed it. */
  hasCertificate: boolean;
}

/** Answers a request. */
export type Answer = (
  request: { method: string; path: string; body: string },
  caller: FakeCaller,
) => { status: number; body: string } | Promise<{ status: number; body: string }>;

/** What a component does about its listener. */
export interface Listening {
  answer: Answer;
  /** What it serves with now, asked before each call: a component that reads its files again takes new ones up here. */
  files(): Promise<TlsFiles>;
  /** True for one that turns callers away in the handshake. */
  demandsCertificates?: boolean;
  /** Told of handshakes that fail. */
  onRefused?(from: string, error: Error): void;
}

/** A component's listener. */
export class FakeListener {
  readonly #server: Server;
  readonly #listening: Listening;
  #served: TlsFiles;

  private constructor(server: Server, listening: Listening, served: TlsFiles) {
    this.#server = server;
    this.#listening = listening;
    this.#served = served;
  }

  /** Rejects as OpenSSL does when certificate and key do not belong together. */
  static async open(listening: Listening): Promise<FakeListener> {
    const files = await listening.files();
    const demands = listening.demandsCertificates === true;
    const options: ServerOptions = { ...files, requestCert: true, rejectUnauthorized: demands };
    const server = createServer(options, (request, response) => void handle(listening.answer, request, response));
    server.on('tlsClientError', (error, socket) =>
      listening.onRefused?.(hostPort({ host: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 }), error),
    );
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new FakeListener(server, listening, files);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port; // a TCP server has an address with a port
  }

  /** Takes new files up, if its component does. */
  async look(): Promise<void> {
    const files = await this.#listening.files();
    if (files.cert === this.#served.cert && files.key === this.#served.key && files.ca === this.#served.ca) return;
    this.#served = files;
    this.#server.setSecureContext({ ...files });
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

async function handle(answer: Answer, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const socket = request.socket as TLSSocket; // the server is one of https
  const certificate = socket.getPeerX509Certificate();
  const user = socket.authorized ? /^CN=(.*)$/m.exec(certificate?.subject ?? '')?.[1] : undefined;
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer); // no encoding is set
  const asked = { method: request.method ?? '', path: request.url ?? '', body: Buffer.concat(chunks).toString() };
  const { status, body } = await answer(asked, { user, hasCertificate: certificate !== undefined });
  response.writeHead(status, { 'content-type': 'application/json' }).end(body);
}

/** Who listens where. */
export class FakeNetwork {
  readonly #listeners = new Map<string, FakeListener>();
  /** Addresses at which one of several answers, each in its turn. */
  readonly #shared = new Map<string, { hosts: string[]; port: number; next: number }>();

  listen(host: string, port: number, listener: FakeListener): void {
    this.#listeners.set(hostPort({ host, port }), listener);
  }

  leave(host: string, port: number): void {
    this.#listeners.get(hostPort({ host, port }))?.close();
    this.#listeners.delete(hostPort({ host, port }));
  }

  /** A load balancer before the hosts. */
  share(address: string, hosts: string[], port: number): void {
    this.#shared.set(address, { hosts, port, next: 0 });
  }

  /** Calls as a machine of this address makes them. */
  probeFrom(own: string): Probe {
    return async (request) => {
      const listener = this.#find(own, request.host, request.port);
      const where = hostPort(request);
      if (listener === undefined) return { kind: 'unreachable', detail: `connect ECONNREFUSED ${where}` };
      await listener.look();
      return probe({ ...request, host: '127.0.0.1', port: listener.port });
    };
  }

  /** Serial of the certificate that is served there, as anybody sees it; undefined where nobody listens. */
  async serialAt(host: string, port: number): Promise<string | undefined> {
    const outcome = await this.probeFrom(host)({
      ...{ host, port, method: 'GET', path: '/', timeoutMs: 5000, signal: new AbortController().signal },
      tls: { trust: { kind: 'unverified' } },
    });
    return outcome.kind === 'unreachable' ? undefined : outcome.served?.serial;
  }

  close(): void {
    for (const listener of this.#listeners.values()) listener.close();
    this.#listeners.clear();
  }

  #find(own: string, host: string, port: number): FakeListener | undefined {
    const shared = this.#shared.get(hostPort({ host, port }));
    if (shared === undefined) {
      const at = host === '127.0.0.1' || host === 'localhost' ? own : host;
      return this.#listeners.get(hostPort({ host: at, port }));
    }
    for (const _ of shared.hosts) {
      const found = this.#listeners.get(
        hostPort({ host: shared.hosts[shared.next++ % shared.hosts.length] ?? '', port: shared.port }),
      );
      if (found !== undefined) return found;
    }
    return undefined;
  }
}
