/** From a client certificate to a Caller. TLS has verified the chain; here it is checked what the certificate says and whether it still counts. */
import { AppError } from '../common/errors/app-error.ts';
import type { CallContext } from '../common/rpc/handlers.ts';
import type { Clock } from '../common/time/clock.ts';
import { type Certificate, parseCertificate } from '../common/x509/certificate.ts';
import type { Caller } from './caller.ts';
import { recordEvent } from './events/record-event.ts';
import { authorize } from './method-roles.ts';
import type { NodeRecord, Store } from './store/store.ts';

/** What authentication needs. */
export interface AuthenticateDeps {
  store: Store;
  clock: Clock;
  /** Name of the cluster. */
  trustDomain: string;
}

/** Says who calls, and whether it may call this method. */
export type Admit = (call: Pick<CallContext, 'method' | 'address' | 'peerCertificate'>) => Promise<Caller>;

/** Makes the gate of the fleet listener. Refusals are events. */
export function createAdmit(deps: AuthenticateDeps): Admit {
  /** By the monotonic clock. */
  const refusedAtMs = new Map<string, number>();

  /** The same refusal is an event once a minute: a caller in a loop must not fill the audit. */
  function isNew(refusal: string): boolean {
    const nowMs = deps.clock.monotonicMs();
    if (nowMs - (refusedAtMs.get(refusal) ?? Number.NEGATIVE_INFINITY) < 60_000) return false;
    if (refusedAtMs.size >= 1000) refusedAtMs.clear();
    refusedAtMs.set(refusal, nowMs);
    return true;
  }

  return async (call) => {
    let actor = '';
    try {
      const certificate = readCertificate(call.peerCertificate, deps.clock);
      const { kind, name } = readIdentity(certificate, deps.trustDomain);
      actor = `${kind}/${name}`;
      const caller: Caller =
        kind === 'node'
          ? await admitNode(name, certificate, call.address, deps.store)
          : await admitAdmin(name, certificate, call.address, deps.store);
      authorize(caller, call.method);
      return caller;
    } catch (thrown) {
      const { reason, message } = AppError.from(thrown);
      const node = actor.startsWith('node/') ? actor.slice('node/'.length) : '';
      if (reason !== 'internal' && isNew(`${actor} ${call.address} ${call.method} ${reason}`)) {
        await recordEvent(deps.store, { kind: 'call.refused', actor, node, reason, message, source: call.address });
      }
      throw thrown;
    }
  };
}

function readCertificate(der: Uint8Array | undefined, clock: Clock): Certificate {
  if (der === undefined) throw new AppError('unauthenticated', 'no client certificate');
  const certificate = parseCertificate(der);
  const nowMs = clock.nowMs();
  // A connection lives longer than its handshake.
  if (certificate.notAfter.getTime() < nowMs) throw new AppError('unauthenticated', 'the client certificate expired');
  if (certificate.ca || !certificate.usages.includes('client')) {
    throw new AppError('unauthenticated', 'the certificate is not for clients');
  }
  return certificate;
}

/** Exactly one URI, spiffe://TRUST-DOMAIN/node/NAME or …/admin/NAME. */
function readIdentity(certificate: Certificate, trustDomain: string): { kind: 'node' | 'admin'; name: string } {
  const [uri, ...more] = certificate.uris;
  for (const kind of ['node', 'admin'] as const) {
    const prefix = `spiffe://${trustDomain}/${kind}/`;
    const name = uri?.startsWith(prefix) ? uri.slice(prefix.length) : '';
    if (more.length === 0 && /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/.test(name)) return { kind, name };
  }
  throw new AppError('unauthenticated', `the certificate names no node and no administrator of ${trustDomain}`);
}

/**
 * Lets in the identity on record, and the one that was renewed as long as the new one has not come: a renewal whose answer was lost must
 * not lock the node out. Every other is over, whatever its validity says.
 */
async function admitNode(name: string, certificate: Certificate, address: string, store: Store): Promise<Caller> {
  const node = await store.getNode(name);
  if (node === undefined) throw new AppError('node-unknown', `${name} is no node of this fleet; enrol it again`);
  if (node.revoked) throw new AppError('node-revoked', `${name} was revoked; ask an operator`);
  const { serial } = certificate;
  if (serial === node.identitySerial) {
    if (node.identityBefore !== '') await store.updateNode(name, { identityBefore: '' });
  } else if (serial !== node.identityBefore || !(await isOwn(certificate, node, store))) {
    throw new AppError('unauthenticated', `this identity of ${name} was replaced; use the newest, or enrol it again`);
  }
  return { kind: 'node', name, serial, address };
}

async function isOwn(certificate: Certificate, node: NodeRecord, store: Store): Promise<boolean> {
  const row = await store.getCertificate('fleet', certificate.serial);
  return row?.holder === node.name && row.sha256 === certificate.sha256;
}

async function admitAdmin(name: string, certificate: Certificate, address: string, store: Store): Promise<Caller> {
  const admin = await store.getAdmin(name);
  if (admin?.serial !== certificate.serial) {
    throw new AppError('unauthenticated', `this certificate of administrator ${name} is not the one on record`);
  }
  return { kind: 'admin', name, role: admin.role, serial: admin.serial, address };
}
