/** The inventory of certificates in SQLite: serial and intent first, the signature after. */
import { AppError } from '../../common/errors/app-error.ts';
import type { Profile } from '../../common/names/names.ts';
import { integer, optional, pageOf, type Row, sequenceBefore, text, texts, word } from './rows.ts';
import type { SqliteEngine } from './sqlite-engine.ts';
import type { AppendEvent } from './sqlite-events.ts';
import type { CertificateIntent, CertificateRow, Store } from './store.ts';

type CertificateMethods = Pick<
  Store,
  'recordIntents' | 'recordIssued' | 'holderOfKey' | 'listCertificates' | 'getCertificate'
>;

/** The methods of the store that deal with certificates. */
export function sqliteCertificates(engine: SqliteEngine, append: AppendEvent): CertificateMethods {
  const select = engine.prepare('SELECT * FROM certificates WHERE authority = ? AND serial = ?');
  const selectHolder = engine.prepare('SELECT holder FROM certificates WHERE public_key_pin = ? LIMIT 1');
  const insert = engine.prepare(`
    INSERT INTO certificates VALUES (NULL, $authority, $serial, $profile, $holder, $subject, $dnsNames, $ipAddresses, $uris,
      $notBeforeMs, $notAfterMs, $publicKeyPin, $changeId, 'intended', '', '')`);
  const issue = engine.prepare(`
    UPDATE certificates SET state = 'issued', sha256 = ?, pem = ?
    WHERE authority = ? AND serial = ? AND state = 'intended'`);
  const selectPage = engine.prepare(`
    SELECT * FROM certificates WHERE sequence < $before
      AND ($holder IS NULL OR holder = $holder)
      AND ($profile IS NULL OR profile = $profile)
      AND ($expiringBeforeMs IS NULL OR not_after_ms < $expiringBeforeMs)
    ORDER BY sequence DESC LIMIT $limit`);

  return {
    recordIntents: (intents, events = []) =>
      engine.write(() => {
        for (const intent of intents) {
          if (select.get(intent.authority, intent.serial) !== undefined) {
            throw new AppError('conflict', `the serial ${intent.serial} was used before: ask again`);
          }
          const holder = selectHolder.get(intent.publicKeyPin);
          if (holder !== undefined && text(holder, 'holder') !== intent.holder) {
            throw new AppError('conflict', 'the key was certified for another holder: make a new key');
          }
          insert.run(columnsOf(intent));
        }
        events.forEach(append);
      }),
    recordIssued: (issued, events = []) =>
      engine.write(() => {
        for (const { authority, serial, sha256, pem } of issued) {
          if (issue.run(sha256, pem, authority, serial).changes === 0) {
            throw new AppError('conflict', `there is no intent for the serial ${serial} of the ${authority} CA`);
          }
        }
        events.forEach(append);
      }),
    holderOfKey: (publicKeyPin) =>
      engine.read(() => {
        const row = selectHolder.get(publicKeyPin);
        return row === undefined ? undefined : text(row, 'holder');
      }),
    listCertificates: (filter, page) =>
      engine.read(() => {
        const rows = selectPage.all({
          before: sequenceBefore(page),
          holder: filter.holder ?? null,
          profile: filter.profile ?? null,
          expiringBeforeMs: filter.expiringBeforeMs ?? null,
          limit: page.size + 1,
        });
        return pageOf(rows, page.size, certificateOf);
      }),
    getCertificate: (authority, serial) =>
      engine.read(() => {
        const row = select.get(authority, serial);
        return row === undefined ? undefined : certificateOf(row);
      }),
  };
}

function certificateOf(row: Row): CertificateRow {
  return {
    sequence: integer(row, 'sequence'),
    authority: word(row, 'authority'),
    serial: text(row, 'serial'),
    profile: optional(row, 'profile', word<Profile>),
    holder: text(row, 'holder'),
    subject: text(row, 'subject'),
    dnsNames: texts(row, 'dns_names'),
    ipAddresses: texts(row, 'ip_addresses'),
    uris: texts(row, 'uris'),
    notBeforeMs: integer(row, 'not_before_ms'),
    notAfterMs: integer(row, 'not_after_ms'),
    publicKeyPin: text(row, 'public_key_pin'),
    changeId: text(row, 'change_id'),
    state: word(row, 'state'),
    sha256: text(row, 'sha256'),
    pem: text(row, 'pem'),
  };
}

function columnsOf(intent: CertificateIntent): Record<string, string | number | null> {
  return {
    ...intent,
    profile: intent.profile ?? null,
    dnsNames: JSON.stringify(intent.dnsNames),
    ipAddresses: JSON.stringify(intent.ipAddresses),
    uris: JSON.stringify(intent.uris),
  };
}
