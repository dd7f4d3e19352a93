/** Bootstrap tokens in SQLite. */
import { AppError } from '../../common/errors/app-error.ts';
import { flag, integer, pageOf, type Row, sequenceBefore, text, texts, word } from './rows.ts';
import type { SqliteEngine } from './sqlite-engine.ts';
import type { Store, TokenRecord } from './store.ts';

/** The methods of the store that deal with tokens. */
export function sqliteTokens(
  engine: SqliteEngine,
): Pick<Store, 'insertToken' | 'getToken' | 'listTokens' | 'revokeToken'> {
  const select = engine.prepare('SELECT * FROM tokens WHERE id = ?');
  const selectPage = engine.prepare('SELECT * FROM tokens WHERE sequence < ? ORDER BY sequence DESC LIMIT ?');
  const revoke = engine.prepare('UPDATE tokens SET revoked = 1 WHERE id = ?');
  const insert = engine.prepare(`
    INSERT INTO tokens VALUES (NULL, $id, $secretSha256, $role, $nodeNames, $addresses, $sourceNetworks, $expiresAtMs,
      $maxUses, $uses, $revoked, $allowReenroll, $createdBy, $createdAtMs)`);

  return {
    insertToken: (token) =>
      engine.write(() => {
        if (select.get(token.id) !== undefined) throw new AppError('conflict', `there is a token ${token.id} already`);
        insert.run(columnsOf(token));
      }),
    getToken: (id) =>
      engine.read(() => {
        const row = select.get(id);
        return row === undefined ? undefined : tokenOf(row);
      }),
    listTokens: (page) =>
      engine.read(() => pageOf(selectPage.all(sequenceBefore(page), page.size + 1), page.size, tokenOf)),
    revokeToken: (id) => engine.write(() => revoke.run(id).changes > 0),
  };
}

function tokenOf(row: Row): TokenRecord {
  return {
    id: text(row, 'id'),
    secretSha256: text(row, 'secret_sha256'),
    role: word(row, 'role'),
    nodeNames: texts(row, 'node_names'),
    addresses: texts(row, 'addresses'),
    sourceNetworks: texts(row, 'source_networks'),
    expiresAtMs: integer(row, 'expires_at_ms'),
    maxUses: integer(row, 'max_uses'),
    uses: integer(row, 'uses'),
    revoked: flag(row, 'revoked'),
    allowReenroll: flag(row, 'allow_reenroll'),
    createdBy: text(row, 'created_by'),
    createdAtMs: integer(row, 'created_at_ms'),
  };
}

function columnsOf(token: TokenRecord): Record<string, string | number> {
  return {
    ...token,
    nodeNames: JSON.stringify(token.nodeNames),
    addresses: JSON.stringify(token.addresses),
    sourceNetworks: JSON.stringify(token.sourceNetworks),
    revoked: token.revoked ? 1 : 0,
    allowReenroll: token.allowReenroll ? 1 : 0,
  };
}
