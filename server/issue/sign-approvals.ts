/** From approvals to certificates, so that no crash leaves a signature that the inventory and the audit do not know. */
import { type Certificate, parseCertificate } from '../../common/x509/certificate.ts';
import { newSerial } from '../../common/x509/sign.ts';
import type { Authorities } from '../authority/authorities.ts';
import { type Approval, pinOf } from '../policy/approve.ts';
import type { CertificateIntent, EventDraft, Store } from '../store/store.ts';
import { sign } from './sign.ts';

/** What signing needs. */
export interface SignDeps {
  store: Pick<Store, 'recordIntents' | 'recordIssued'>;
  authorities: Authorities;
}

/** Who asked, for the audit. */
export interface SignContext {
  /** "node/w1", "token/abcd1234", "server". */
  actor: string;
  /** Address that the request came from, or ''. */
  source: string;
  /** The change the certificates are for, or ''. */
  changeId: string;
}

/** A certificate with its approval. */
export interface SignedCertificate {
  approval: Approval;
  certificate: Certificate;
}

/** An approval whose serial is recorded. */
export interface Intent {
  approval: Approval;
  serial: string;
}

/**
 * Records serials and intents and their audit, in one durable step: the half before any signature.
 *
 * @throws AppError conflict when a key was certified for another holder meanwhile; nothing is recorded then
 */
export async function recordIntents(
  deps: SignDeps,
  approvals: readonly Approval[],
  context: SignContext,
): Promise<Intent[]> {
  const intents = approvals.map((approval) => ({ approval, serial: newSerial() }));
  await deps.store.recordIntents(
    intents.map((intent) => rowOf(intent, context.changeId)),
    intents.map((intent) => auditOf('certificate.intended', intent, context)),
  );
  return intents;
}

/** Signs recorded intents, then records the signatures and their audit, in one durable step. */
export async function signIntents(
  deps: SignDeps,
  intents: readonly Intent[],
  context: SignContext,
): Promise<SignedCertificate[]> {
  const signed = intents.map(({ approval, serial }) => {
    const { authority, profile } = approval.fields;
    const pem = sign(approval, serial, deps.authorities.signerFor(authority, profile));
    return { approval, certificate: parseCertificate(pem) };
  });
  await deps.store.recordIssued(
    signed.map(({ approval, certificate }) => ({
      authority: approval.fields.authority,
      serial: certificate.serial,
      sha256: certificate.sha256,
      pem: certificate.pem,
    })),
    intents.map((intent) => auditOf('certificate.issued', intent, context)),
  );
  return signed;
}

/** Both halves. */
export async function signApprovals(
  deps: SignDeps,
  approvals: readonly Approval[],
  context: SignContext,
): Promise<SignedCertificate[]> {
  return signIntents(deps, await recordIntents(deps, approvals, context), context);
}

/** The one element of a list that was made from one approval. */
export function only<T>(list: readonly T[]): T {
  const [first] = list;
  if (first === undefined || list.length !== 1) throw new TypeError('one approval gives one certificate');
  return first;
}

function auditOf(
  kind: 'certificate.intended' | 'certificate.issued',
  { approval, serial }: Intent,
  { actor, source }: SignContext,
): EventDraft {
  const { authority, profile, holder, notAfter } = approval.fields;
  const what = profile ?? (holder.includes('/') ? 'administrator' : holder === 'server' ? 'server' : 'identity');
  const message = `${what} for ${holder}, serial ${serial} of the ${authority} CA, until ${notAfter.toISOString()}`;
  const node = /^(admin\/|server$)/.test(holder) ? '' : holder;
  return { kind, actor, node, reason: '', message, source };
}

function rowOf({ approval, serial }: Intent, changeId: string): CertificateIntent {
  const { fields } = approval;
  return {
    serial,
    authority: fields.authority,
    profile: fields.profile,
    holder: fields.holder,
    subject: [...fields.organizations.map((organization) => `O=${organization}`), `CN=${fields.commonName}`].join(', '),
    dnsNames: [...fields.dnsNames],
    ipAddresses: [...fields.ipAddresses],
    uris: [...fields.uris],
    notBeforeMs: fields.notBefore.getTime(),
    notAfterMs: fields.notAfter.getTime(),
    publicKeyPin: pinOf(approval),
    changeId,
  };
}
