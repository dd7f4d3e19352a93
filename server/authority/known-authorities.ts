/** What the CAs of an authority are for, from the list of them and the rotation record that counts. */
import { AppError } from '../../common/errors/app-error.ts';
import type { Authority, Profile, RotationPhase } from '../../common/names/names.ts';
import type { Certificate } from '../../common/x509/certificate.ts';
import type { PrivateKey } from '../../common/x509/keys.ts';
import type { Signer } from '../../common/x509/sign.ts';
import type { AuthorityLine, RotationRecord } from '../store/store.ts';
import type { Authorities, KnownCa } from './authorities.ts';

/** A CA certificate, with its key where the server has it. */
export interface Ca {
  certificate: Certificate;
  key: PrivateKey | undefined;
}

/** All that is known of an authority. */
export interface CaList {
  /** The CA of init. */
  first: Ca;
  /** Further roots in the file that was imported; they stay trusted. */
  companions: readonly Ca[];
  /** CAs that came later, and roots that are only trusted, in no order. */
  further: readonly Ca[];
}

/** Where the facts are, looked up at every question. */
export interface AuthorityFacts {
  list(authority: Authority): CaList;
  record(): RotationRecord;
  /** True when the CA of init came from an existing cluster. */
  imported(authority: Authority): boolean;
}

/** No rotation was ever begun: the CAs of init count. */
export const neverRotated: RotationRecord = {
  generation: 0,
  phase: 'settled',
  phaseStartedAtMs: 0,
  automatic: false,
  authorities: [],
  lines: [],
};

/** Probes come from the new CA from the first phase on: whoever accepts one has proved that it trusts the new root. */
export const PROBES: ReadonlySet<Profile | undefined> = new Set<Profile>(['probe-client', 'etcd-healthcheck-client']);

/** The authorities as these facts make them. */
export function authoritiesOf(facts: AuthorityFacts): Authorities {
  const line = (authority: Authority) => lineOf(facts.record(), authority, facts.list(authority));
  const withPins = (authority: Authority, pins: readonly string[]) => byPins(facts.list(authority), pins);
  const trusted = (authority: Authority) => {
    const { current, old } = line(authority);
    return withPins(authority, [current, ...old]);
  };
  const phase = (authority: Authority): RotationPhase => {
    const record = facts.record();
    return record.authorities.some((each) => each === authority) ? record.phase : 'settled';
  };
  const issuingPin = (authority: Authority) => {
    const { current, oldSigner } = line(authority);
    return phase(authority) === 'trust' ? oldSigner : current;
  };
  const signerFor = (authority: Authority, profile: Profile | undefined): Signer => {
    const pin = PROBES.has(profile) ? line(authority).current : issuingPin(authority);
    if (pin === '') {
      const why = 'the key of the old CA is not here; wait for the phase reissue';
      throw new AppError('policy-refused', `the phase trust of the ${authority} CA issues nothing but probes: ${why}`);
    }
    for (const { certificate, key } of withPins(authority, [pin])) if (key !== undefined) return { certificate, key };
    throw new TypeError(`the ${authority} CA ${pin} has no key`); // keys that sign were looked for when all were loaded
  };
  const pem = (cas: readonly Ca[]) => cas.map((ca) => ca.certificate.pem).join('');
  return {
    signerFor,
    certificateFor: (authority, profile) => signerFor(authority, profile).certificate,
    certificate: (authority) => {
      const [newest] = trusted(authority);
      if (newest === undefined) throw new TypeError(`no authority ${authority}`); // all were looked for when loaded
      return newest.certificate;
    },
    roots: (authority) => trusted(authority).map((ca) => ca.certificate),
    rootsPem: (authority) => pem(trusted(authority)),
    retiredPem: (authority) => pem(withPins(authority, line(authority).retired)),
    phase,
    issuingPin,
    line,
    all: (authority) => {
      const { current, old, retired } = line(authority);
      const issuing = issuingPin(authority);
      const { first, companions } = facts.list(authority);
      return withPins(authority, [current, ...old, ...retired]).map((ca): KnownCa => {
        const { certificate, key } = ca;
        return {
          certificate,
          issuing: certificate.publicKeyPin === issuing,
          trusted: !retired.includes(certificate.publicKeyPin),
          hasKey: key !== undefined,
          imported: facts.imported(authority) && [first, ...companions].includes(ca),
        };
      });
    },
    imported: (authority) =>
      facts.imported(authority) && line(authority).current === facts.list(authority).first.certificate.publicKeyPin,
  };
}

/** What counts of an authority: what the record says, or the CA of init with its companions. */
export function lineOf(record: RotationRecord, authority: Authority, list: CaList): AuthorityLine {
  const recorded = record.lines.find((each) => each.authority === authority);
  if (recorded !== undefined) return recorded;
  const current = list.first.certificate.publicKeyPin;
  const companions = list.companions.map((ca) => ca.certificate.publicKeyPin);
  const old = [...new Set(companions)].filter((pin) => pin !== current);
  return { authority, current, old, oldSigner: '', retired: [] };
}

/** The CAs with these keys, in the order of the pins; a CA that was renewed with its key has several certificates. */
export function byPins({ first, companions, further }: CaList, pins: readonly string[]): Ca[] {
  const all = [first, ...companions, ...further];
  const found = new Map<string, Ca>();
  for (const pin of pins) {
    for (const ca of all) {
      const { publicKeyPin, sha256 } = ca.certificate;
      if (publicKeyPin === pin && !found.has(sha256)) found.set(sha256, ca);
    }
  }
  return [...found.values()];
}
