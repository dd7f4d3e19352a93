/** First contact: the fleet CA is known only by the pin of its public key, and nothing is sent before it was checked. */
import { connect, type DetailedPeerCertificate, type TLSSocket } from 'node:tls';
import { AppError, messageOf } from '../../common/errors/app-error.ts';
import { type Certificate, chainsTo, parseCertificate } from '../../common/x509/certificate.ts';

/** Where the server listens. */
export interface PinnedServer {
  host: string;
  port: number;
  /** sha256:HEX of the fleet CA's SubjectPublicKeyInfo, as kubeadm's --discovery-token-ca-cert-hash. */
  pin: string;
}

/**
 * Connects, reads the server's certificate chain, sends nothing, and returns the root with the pinned key (PEM), which must have
 * signed the server's certificate.
 *
 * @throws AppError unauthenticated when no such root is shown or the chain does not end in it, unavailable when nobody answers,
 *   invalid-request for a malformed pin
 */
export async function fetchPinnedRoots(server: PinnedServer, nowMs: number, timeoutMs = 10_000): Promise<string> {
  const pin = server.pin.toLowerCase();
  if (!/^sha256:[0-9a-f]{64}$/.test(pin)) {
    throw new AppError(
      'invalid-request',
      '--ca-hash must be sha256: and 64 hexadecimal digits, as the join line has it',
    );
  }
  const chain = await readChain(server, timeoutMs);
  const leaf = chain[0];
  const root = chain.find((certificate) => certificate.ca && certificate.publicKeyPin === pin);
  if (leaf === undefined || root === undefined) {
    const shown = chain.at(-1)?.publicKeyPin ?? 'none';
    throw new AppError(
      'unauthenticated',
      `${server.host}:${server.port} is not the pinned server: it shows ${shown}, the pin is ${pin}; the token was not sent`,
    );
  }
  const problem = chainsTo(leaf, [root], new Date(nowMs));
  if (problem !== undefined) {
    throw new AppError(
      'unauthenticated',
      `the server's certificate does not end in the pinned CA: ${problem}; the token was not sent`,
    );
  }
  return root.pem;
}

function readChain({ host, port }: PinnedServer, timeoutMs: number): Promise<Certificate[]> {
  return new Promise((resolve, reject) => {
    // The chain is judged by its pin right after; no byte but the handshake is sent on this connection.
    const socket: TLSSocket = connect({
      host,
      port,
      rejectUnauthorized: false,
      minVersion: 'TLSv1.2',
      ALPNProtocols: ['h2'],
    });
    socket.setTimeout(timeoutMs, () => socket.destroy(new Error('no answer in time')));
    socket.once('error', (error) => {
      const advice = 'check the address, the firewall and that kube-mtls-server runs there';
      reject(
        new AppError('unavailable', `cannot reach ${host}:${port} (${messageOf(error)}): ${advice}`, { cause: error }),
      );
    });
    socket.once('secureConnect', () => {
      const chain = certificatesOf(socket.getPeerCertificate(true));
      socket.destroy();
      try {
        resolve(chain.map((der) => parseCertificate(der)));
      } catch (error) {
        reject(AppError.from(error));
      }
    });
  });
}

function certificatesOf(first: DetailedPeerCertificate): Buffer[] {
  const chain: Buffer[] = [];
  for (
    let at: DetailedPeerCertificate | undefined = first;
    at?.raw !== undefined && chain.length < 8;
    at = at.issuerCertificate
  ) {
    if (chain.some((seen) => seen.equals(at?.raw ?? seen))) break; // a self-signed root is its own issuer
    chain.push(at.raw);
  }
  return chain;
}
