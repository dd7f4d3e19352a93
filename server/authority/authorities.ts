/** The certificate authorities of the server, opened. Only server/issue asks for a signer, only server/rotation changes what counts. */
import { AppError } from '../../common/errors/app-error.ts';
import { removeDurably } from '../../common/files/durable.ts';
import { type Authority, type Profile, type RotationPhase, authorities as words } from '../../common/names/names.ts';
import type { Certificate } from '../../common/x509/certificate.ts';
import type { PrivateKey } from '../../common/x509/keys.ts';
import type { Signer } from '../../common/x509/sign.ts';
import type { AuthorityLine, RotationRecord } from '../store/store.ts';
import { missingKey, readCas, readImported, removeStrays, writeFurtherCa } from './authority-files.ts';
import type { ClusterAuthority } from './import-authority.ts';
import { authoritiesOf, byPins, type Ca, lineOf, neverRotated } from './known-authorities.ts';
import { newAuthority } from './new-authority.ts';

/** A CA certificate and what it is good for now. */
export interface KnownCa {
  certificate: Certificate;
  /** It signs now. */
  issuing: boolean;
  /** Nodes shall trust it. */
  trusted: boolean;
  hasKey: boolean;
  /** It came from an existing cluster with its key, or in the file of one that did. */
  imported: boolean;
}

/** All authorities. */
export interface Authorities {
  /**
   * The CA that signs a certificate now; for signing an Approval and nothing else.
   *
   * @param profile undefined for identities, administrators and the server
   * @throws AppError policy-refused while the change of a root lets nothing but probes be issued
   */
  signerFor(authority: Authority, profile: Profile | undefined): Signer;
  /** Its certificate, beyond whose end nothing may live. Throws as signerFor. */
  certificateFor(authority: Authority, profile: Profile | undefined): Certificate;
  /** The newest CA certificate, which signs unless its root has to become trusted first. */
  certificate(authority: Authority): Certificate;
  /** What users of the authority have to trust, newest first. */
  roots(authority: Authority): Certificate[];
  /** The roots as PEM. */
  rootsPem(authority: Authority): string;
  /** Roots that shall be trusted no more, as PEM. */
  retiredPem(authority: Authority): string;
  /** How far the change of this authority's root has come. */
  phase(authority: Authority): RotationPhase;
  /** sha256:HEX of the key that signs leaves now; '' while nothing but probes is signed. */
  issuingPin(authority: Authority): string;
  /** Which of its CAs count. */
  line(authority: Authority): AuthorityLine;
  /** Every CA certificate that counts or counted, newest first. */
  all(authority: Authority): KnownCa[];
  /** True when the newest was imported from an existing cluster. */
  imported(authority: Authority): boolean;
}

/** Authorities whose CAs change while the server runs. */
export interface ChangingAuthorities extends Authorities {
  /** The record that counts. */
  record(): RotationRecord;
  /**
   * Makes a new CA and writes it durably; what an earlier attempt left behind is removed. It counts for nothing until a
   * record names it.
   *
   * @returns sha256:HEX of its key
   */
  make(authority: ClusterAuthority, nowMs: number): Promise<string>;
  /**
   * From here on this record counts.
   *
   * @throws AppError unavailable when a CA that it names is not here
   */
  take(record: RotationRecord): void;
  /** Removes the keys of retired roots for good, unless a rotation is under way. */
  forgetRetiredKeys(): Promise<void>;
}

interface Held extends Ca {
  keyFile: string;
}

interface HeldList {
  first: Held;
  companions: Held[];
  further: Held[];
}

/** Rejects 'not-found' before init has made the authorities. */
export async function assertMade(stateFolder: string): Promise<void> {
  await importedOf(stateFolder);
}

/**
 * Opens all authorities; each key takes some 0.1 s.
 *
 * @param rotation the record of the store, see Store.getRotation
 * @param keyIterations of the keys that are made, see KeyLock
 * @throws AppError not-found before init has made them, unavailable when one cannot be used or the passphrase is wrong
 */
export async function loadAuthorities(
  stateFolder: string,
  passphrase: string,
  rotation: RotationRecord = neverRotated,
  keyIterations?: number,
): Promise<ChangingAuthorities> {
  const imported = await importedOf(stateFolder);
  const entries = await Promise.all(
    words.all.map(async (authority) => [authority, await readList(stateFolder, authority, passphrase)] as const),
  );
  const lists = new Map(entries);
  const list = (authority: Authority): HeldList => {
    const found = lists.get(authority);
    if (found === undefined) throw new TypeError(`no authority ${authority}`); // all were read above
    return found;
  };
  let counting = checked(rotation, list);
  return {
    ...authoritiesOf({ list, record: () => counting, imported: (authority) => imported.includes(authority) }),
    record: () => counting,
    async make(authority, nowMs) {
      const { current, old, retired } = lineOf(counting, authority, list(authority));
      await removeStrays(stateFolder, authority, [current, ...old, ...retired]);
      const { certificate, key } = await newAuthority(authority, { nowMs, successor: true });
      const lock = { passphrase, iterations: keyIterations };
      const keyFile = await writeFurtherCa(stateFolder, authority, { roots: [certificate], key }, lock);
      list(authority).further.push({ certificate, key, keyFile });
      return certificate.publicKeyPin;
    },
    take(record) {
      counting = checked(record, list);
    },
    async forgetRetiredKeys() {
      if (counting.phase !== 'settled') return;
      for (const { authority, retired } of counting.lines) {
        for (const ca of heldBy(list(authority), retired)) {
          if (ca.key === undefined) continue;
          await removeDurably(ca.keyFile);
          ca.key = undefined;
        }
      }
    },
  };
}

async function importedOf(stateFolder: string): Promise<Authority[]> {
  const imported = await readImported(stateFolder);
  if (imported !== undefined) return imported;
  throw new AppError('not-found', `there are no authorities in ${stateFolder}: run kube-mtls-server init first`);
}

async function readList(stateFolder: string, authority: Authority, passphrase: string): Promise<HeldList> {
  const [own, ...others] = await readCas(stateFolder, authority, passphrase);
  if (own === undefined) throw missing(`the ${authority} CA is missing in ${stateFolder}`);
  const [first, ...companions] = own.roots;
  const held = (certificate: Certificate, key: PrivateKey | undefined, keyFile: string): Held => ({
    certificate,
    key,
    keyFile,
  });
  return {
    first: held(first, own.key, own.keyFile),
    companions: companions.map((certificate) => held(certificate, undefined, own.keyFile)),
    further: others.flatMap(({ roots: [head, ...more], key, keyFile }) => [
      held(head, key, keyFile),
      ...more.map((certificate) => held(certificate, undefined, keyFile)),
    ]),
  };
}

/** The record, when all that it names is there: every root, and the keys that sign. */
function checked(record: RotationRecord, list: (authority: Authority) => HeldList): RotationRecord {
  for (const authority of words.all) {
    const { current, old, oldSigner, retired } = lineOf(record, authority, list(authority));
    for (const pin of [current, ...old, ...retired]) {
      if (byPins(list(authority), [pin]).length > 0) continue;
      throw missing(`the certificate of the ${authority} CA ${pin} is missing`);
    }
    const signers = record.phase === 'trust' && oldSigner !== '' ? [current, oldSigner] : [current];
    for (const pin of signers) {
      const cas = heldBy(list(authority), [pin]);
      const [any] = cas;
      if (any !== undefined && cas.every((ca) => ca.key === undefined)) throw missingKey(any.keyFile);
    }
  }
  return record;
}

function heldBy(list: HeldList, pins: readonly string[]): Held[] {
  return [list.first, ...list.companions, ...list.further].filter((ca) => pins.includes(ca.certificate.publicKeyPin));
}

function missing(what: string): AppError {
  return new AppError('unavailable', `${what}: restore it from the backup`);
}
