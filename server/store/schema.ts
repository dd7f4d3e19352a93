/** Tables of the SQLite engine, as a list of forward migrations: the database's user_version counts those that were run. */

/** Never edit one that was released: append. Lists of texts are JSON; times are milliseconds since the epoch. */
export const migrations: readonly string[] = [
  `
  CREATE TABLE nodes (
    name TEXT PRIMARY KEY,
    role TEXT NOT NULL CHECK (role IN ('control-plane', 'worker', 'etcd')),
    addresses TEXT NOT NULL,
    identity_pin TEXT NOT NULL,
    identity_serial TEXT NOT NULL,
    identity_not_after_ms INTEGER NOT NULL,
    enrolled_at_ms INTEGER NOT NULL,
    token_id TEXT NOT NULL,
    last_seen_at_ms INTEGER NOT NULL,
    agent_version TEXT NOT NULL,
    mode TEXT CHECK (mode IN ('enforce', 'observe')),
    clock_skew_ms INTEGER,
    revoked INTEGER NOT NULL CHECK (revoked IN (0, 1))
  ) STRICT;

  CREATE TABLE admins (
    name TEXT PRIMARY KEY,
    role TEXT NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
    serial TEXT NOT NULL
  ) STRICT;

  CREATE TABLE tokens (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    secret_sha256 TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('control-plane', 'worker', 'etcd')),
    node_names TEXT NOT NULL,
    addresses TEXT NOT NULL,
    source_networks TEXT NOT NULL,
    expires_at_ms INTEGER NOT NULL,
    max_uses INTEGER NOT NULL,
    uses INTEGER NOT NULL CHECK (uses BETWEEN 0 AND max_uses),
    revoked INTEGER NOT NULL CHECK (revoked IN (0, 1)),
    allow_reenroll INTEGER NOT NULL CHECK (allow_reenroll IN (0, 1)),
    created_by TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL
  ) STRICT;

  CREATE TABLE certificates (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    authority TEXT NOT NULL CHECK (authority IN ('fleet', 'kubernetes', 'etcd', 'front-proxy')),
    serial TEXT NOT NULL,
    profile TEXT,
    holder TEXT NOT NULL,
    subject TEXT NOT NULL,
    dns_names TEXT NOT NULL,
    ip_addresses TEXT NOT NULL,
    uris TEXT NOT NULL,
    not_before_ms INTEGER NOT NULL,
    not_after_ms INTEGER NOT NULL,
    public_key_pin TEXT NOT NULL,
    change_id TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('intended', 'issued')),
    sha256 TEXT NOT NULL,
    pem TEXT NOT NULL,
    UNIQUE (authority, serial)
  ) STRICT;
  CREATE INDEX certificates_by_holder ON certificates (holder, sequence);
  CREATE INDEX certificates_by_key ON certificates (public_key_pin);
  CREATE TRIGGER certificates_stay BEFORE DELETE ON certificates
    BEGIN SELECT RAISE (ABORT, 'the inventory keeps every serial'); END;
  CREATE TRIGGER certificates_are_issued_once BEFORE UPDATE ON certificates
    WHEN OLD.state <> 'intended' OR NEW.sequence <> OLD.sequence OR NEW.authority <> OLD.authority
      OR NEW.serial <> OLD.serial OR NEW.holder <> OLD.holder OR NEW.public_key_pin <> OLD.public_key_pin
    BEGIN SELECT RAISE (ABORT, 'an issued certificate does not change'); END;

  CREATE TABLE statuses (
    node TEXT NOT NULL REFERENCES nodes (name) ON DELETE CASCADE,
    component TEXT NOT NULL CHECK (component IN ('etcd', 'kube-apiserver', 'kubelet')),
    status BLOB NOT NULL,
    PRIMARY KEY (node, component)
  ) STRICT;

  CREATE TABLE inventories (
    node TEXT PRIMARY KEY REFERENCES nodes (name) ON DELETE CASCADE,
    inventory BLOB NOT NULL
  ) STRICT;

  CREATE TABLE events (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms INTEGER NOT NULL,
    kind TEXT NOT NULL,
    actor TEXT NOT NULL,
    node TEXT NOT NULL,
    reason TEXT NOT NULL,
    message TEXT NOT NULL,
    source TEXT NOT NULL
  ) STRICT;
  CREATE INDEX events_by_node ON events (node, sequence);
  CREATE TRIGGER events_do_not_change BEFORE UPDATE ON events
    BEGIN SELECT RAISE (ABORT, 'events are append-only'); END;
  CREATE TRIGGER events_stay BEFORE DELETE ON events
    BEGIN SELECT RAISE (ABORT, 'events are append-only'); END;
  -- INSERT OR REPLACE deletes without the trigger above
  CREATE TRIGGER events_are_not_replaced BEFORE INSERT ON events
    WHEN EXISTS (SELECT 1 FROM events WHERE sequence = NEW.sequence)
    BEGIN SELECT RAISE (ABORT, 'events are append-only'); END;

  CREATE TABLE rollout (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    paused INTEGER NOT NULL CHECK (paused IN (0, 1)),
    reason TEXT NOT NULL,
    node TEXT NOT NULL,
    paused_at_ms INTEGER NOT NULL,
    retry_generation INTEGER NOT NULL
  ) STRICT;
  INSERT INTO rollout VALUES (1, 0, '', '', 0, 0);
  `,
  `
  -- SQLite changes no CHECK: the table is made anew
  CREATE TABLE all_statuses (
    node TEXT NOT NULL REFERENCES nodes (name) ON DELETE CASCADE,
    component TEXT NOT NULL CHECK (component IN ('etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler',
      'kubelet', 'kube-proxy', 'admin')),
    status BLOB NOT NULL,
    PRIMARY KEY (node, component)
  ) STRICT;
  INSERT INTO all_statuses SELECT node, component, status FROM statuses;
  DROP TABLE statuses;
  ALTER TABLE all_statuses RENAME TO statuses;

  CREATE TABLE rotation (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    generation INTEGER NOT NULL,
    phase TEXT NOT NULL CHECK (phase IN ('settled', 'trust', 'reissue', 'drop')),
    phase_started_at_ms INTEGER NOT NULL,
    automatic INTEGER NOT NULL CHECK (automatic IN (0, 1)),
    authorities TEXT NOT NULL
  ) STRICT;
  INSERT INTO rotation VALUES (1, 0, 'settled', 0, 0, '[]');

  CREATE TABLE authority_lines (
    authority TEXT PRIMARY KEY CHECK (authority IN ('kubernetes', 'etcd', 'front-proxy')),
    current TEXT NOT NULL,
    old TEXT NOT NULL,
    old_signer TEXT NOT NULL,
    retired TEXT NOT NULL
  ) STRICT;
  `,
  `
  ALTER TABLE nodes ADD COLUMN identity_before TEXT NOT NULL DEFAULT '';
  `,
  `
  CREATE TABLE permit_grants (
    node TEXT NOT NULL REFERENCES nodes (name) ON DELETE CASCADE,
    component TEXT NOT NULL,
    permit_id TEXT NOT NULL,
    granted_at_ms INTEGER NOT NULL,
    in_share INTEGER NOT NULL CHECK (in_share IN (0, 1)),
    stopped INTEGER NOT NULL CHECK (stopped IN (0, 1)),
    PRIMARY KEY (node, component)
  ) STRICT;
  `,
  `
  ALTER TABLE rollout ADD COLUMN left_out TEXT NOT NULL DEFAULT '[]';
  `,
];
