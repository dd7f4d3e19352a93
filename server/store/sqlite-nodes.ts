/** Nodes, what they report, and administrators in SQLite. */
import { AppError } from '../../common/errors/app-error.ts';
import { blob, flag, integer, optional, type Row, text, texts, word } from './rows.ts';
import type { SqliteEngine } from './sqlite-engine.ts';
import type { NodeRecord, Store } from './store.ts';

type NodeMethods = Pick<
  Store,
  | 'getNode'
  | 'listNodes'
  | 'enrol'
  | 'updateNode'
  | 'getAdmin'
  | 'putAdmin'
  | 'putStatus'
  | 'deleteStatus'
  | 'listStatuses'
  | 'putInventory'
  | 'getInventory'
>;

/** The methods of the store that deal with nodes and administrators. */
export function sqliteNodes(engine: SqliteEngine): NodeMethods {
  const selectNode = engine.prepare('SELECT * FROM nodes WHERE name = ?');
  const selectNodes = engine.prepare('SELECT * FROM nodes ORDER BY name');
  const upsertNode = engine.prepare(`
    INSERT INTO nodes VALUES ($name, $role, $addresses, $identityPin, $identitySerial, $identityNotAfterMs, $enrolledAtMs,
      $tokenId, $lastSeenAtMs, $agentVersion, $mode, $clockSkewMs, $revoked, $identityBefore)
    ON CONFLICT (name) DO UPDATE SET role = $role, addresses = $addresses, identity_pin = $identityPin,
      identity_serial = $identitySerial, identity_not_after_ms = $identityNotAfterMs, enrolled_at_ms = $enrolledAtMs,
      token_id = $tokenId, last_seen_at_ms = $lastSeenAtMs, agent_version = $agentVersion, mode = $mode,
      clock_skew_ms = $clockSkewMs, revoked = $revoked,
      identity_before = $identityBefore`);
  const useToken = engine.prepare('UPDATE tokens SET uses = uses + 1 WHERE id = ? AND uses < max_uses');
  const selectAdmin = engine.prepare('SELECT * FROM admins WHERE name = ?');
  const upsertAdmin = engine.prepare('INSERT OR REPLACE INTO admins VALUES (?, ?, ?)');
  const upsertStatus = engine.prepare(
    'INSERT OR REPLACE INTO statuses SELECT $node, $component, $status WHERE EXISTS (SELECT 1 FROM nodes WHERE name = $node)',
  );
  const deleteStatus = engine.prepare('DELETE FROM statuses WHERE node = ? AND component = ?');
  const selectStatuses = engine.prepare('SELECT * FROM statuses ORDER BY node, component');
  const upsertInventory = engine.prepare(
    'INSERT OR REPLACE INTO inventories SELECT $node, $inventory WHERE EXISTS (SELECT 1 FROM nodes WHERE name = $node)',
  );
  const selectInventory = engine.prepare('SELECT inventory FROM inventories WHERE node = ?');

  return {
    getNode: (name) => engine.read(() => maybe(selectNode.get(name), nodeOf)),
    listNodes: () => engine.read(() => selectNodes.all().map(nodeOf)),
    enrol: (enrolment) =>
      engine.write(() => {
        if (enrolment.useToken !== undefined && useToken.run(enrolment.useToken).changes === 0) {
          throw new AppError('conflict', `the token ${enrolment.useToken} has no use left: make another one`);
        }
        upsertNode.run(columnsOf(enrolment.node));
      }),
    updateNode: (name, fields) =>
      engine.write(() => {
        const node = maybe(selectNode.get(name), nodeOf);
        if (node !== undefined) upsertNode.run(columnsOf({ ...node, ...fields, name }));
      }),

    getAdmin: (name) =>
      engine.read(() =>
        maybe(selectAdmin.get(name), (row) => ({
          name: text(row, 'name'),
          role: word(row, 'role'),
          serial: text(row, 'serial'),
        })),
      ),
    putAdmin: (admin) => engine.write(() => void upsertAdmin.run(admin.name, admin.role, admin.serial)),

    putStatus: (node, component, status) => engine.write(() => void upsertStatus.run({ node, component, status })),
    deleteStatus: (node, component) => engine.write(() => void deleteStatus.run(node, component)),
    listStatuses: () =>
      engine.read(() =>
        selectStatuses.all().map((row) => ({
          node: text(row, 'node'),
          component: word(row, 'component'),
          status: blob(row, 'status'),
        })),
      ),
    putInventory: (node, inventory) => engine.write(() => void upsertInventory.run({ node, inventory })),
    getInventory: (node) => engine.read(() => maybe(selectInventory.get(node), (row) => blob(row, 'inventory'))),
  };
}

function maybe<T>(row: Row | undefined, read: (row: Row) => T): T | undefined {
  return row === undefined ? undefined : read(row);
}

function nodeOf(row: Row): NodeRecord {
  return {
    name: text(row, 'name'),
    role: word(row, 'role'),
    addresses: texts(row, 'addresses'),
    identityPin: text(row, 'identity_pin'),
    identitySerial: text(row, 'identity_serial'),
    identityBefore: text(row, 'identity_before'),
    identityNotAfterMs: integer(row, 'identity_not_after_ms'),
    enrolledAtMs: integer(row, 'enrolled_at_ms'),
    tokenId: text(row, 'token_id'),
    lastSeenAtMs: integer(row, 'last_seen_at_ms'),
    agentVersion: text(row, 'agent_version'),
    mode: optional(row, 'mode', word<'enforce' | 'observe'>),
    clockSkewMs: optional(row, 'clock_skew_ms', integer),
    revoked: flag(row, 'revoked'),
  };
}

function columnsOf(node: NodeRecord): Record<string, string | number | null> {
  return {
    ...node,
    addresses: JSON.stringify(node.addresses),
    mode: node.mode ?? null,
    clockSkewMs: node.clockSkewMs === undefined ? null : Math.round(node.clockSkewMs),
    revoked: node.revoked ? 1 : 0,
  };
}
