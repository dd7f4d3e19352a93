/** Renews the node's own identity at two thirds of its life, with a new key, without a restart of the daemon. */
import { AppError } from '../../common/errors/app-error.ts';
import type { Log } from '../../common/log/log.ts';
import { Backoff } from '../../common/time/backoff.ts';
import type { Clock } from '../../common/time/clock.ts';
import { chainsTo, keyMatches, parseCertificate, parseCertificates } from '../../common/x509/certificate.ts';
import { createCsr } from '../../common/x509/csr.ts';
import { generateKey } from '../../common/x509/keys.ts';
import { lifeAtMs } from '../../common/x509/life.ts';
import { chooseAlgorithm, type KeyChoice } from '../keys/choose-algorithm.ts';
import type { Layout } from '../layout.ts';
import type { ServerLink } from '../link/server-link.ts';
import { loadIdentity, saveIdentity } from './identity.ts';

/** Dependencies. */
export interface RenewIdentityDeps {
  layout: Layout;
  link: ServerLink;
  clock: Clock;
  log: Log;
  keyAlgorithm: KeyChoice;
}

/** The longest sleep, so that a clock that was set right is noticed. */
const MAX_SLEEP_MS = 60 * 60_000;

/** Renews whenever it is due, until the signal fires. */
export async function renewIdentity(deps: RenewIdentityDeps, signal: AbortSignal): Promise<void> {
  const { layout, clock, log } = deps;
  const backoff = new Backoff({ firstMs: 5_000, maxMs: 10 * 60_000 });
  while (!signal.aborted) {
    try {
      const waitMs = renewalDueMs((await loadIdentity(layout)).certificatePem) - clock.nowMs();
      if (waitMs <= 0) await renewOnce(deps, signal);
      backoff.reset();
      if (waitMs > 0) await clock.sleep(Math.min(waitMs, MAX_SLEEP_MS), signal);
    } catch (error) {
      signal.throwIfAborted();
      const failure = AppError.from(error);
      log.warn('identity not renewed yet', { error: failure, attempt: backoff.failures + 1 });
      await backoff.wait(clock, signal, failure.retryAfterMs ?? 0);
    }
  }
}

/** Two thirds of the life of a certificate, milliseconds since the epoch. */
export function renewalDueMs(certificatePem: string): number {
  return lifeAtMs(parseCertificate(certificatePem), 2 / 3);
}

/** One new identity. It replaces the old one only when the server can be reached with it: the old one is deleted. */
async function renewOnce(deps: RenewIdentityDeps, signal: AbortSignal): Promise<void> {
  const { layout, link, clock, log, keyAlgorithm } = deps;
  const key = await generateKey(chooseAlgorithm(keyAlgorithm));
  const { certificates } = await link.calls();
  const csr = new TextEncoder().encode(createCsr(key, { commonName: 'node' }));
  const renewed = await certificates.renewIdentity({ csr }, { signal });
  const certificate = parseCertificate(renewed.certificatePem);
  if (!keyMatches(key, certificate)) throw new AppError('internal', 'the server certified another key than ours');
  const problem = chainsTo(certificate, parseCertificates(renewed.fleetRootsPem), new Date(clock.nowMs()));
  if (problem !== undefined) throw new AppError('internal', `the new identity is not good on this node: ${problem}`);
  if (renewalDueMs(renewed.certificatePem) <= clock.nowMs()) {
    throw new AppError('internal', 'the new identity is due for renewal already: compare the clocks');
  }
  await saveIdentity(layout, {
    keyPem: key.pem,
    certificatePem: renewed.certificatePem,
    fleetRootsPem: renewed.fleetRootsPem,
  });
  link.renew();
  log.info('identity renewed', { serial: certificate.serial });
}
