import assert from 'node:assert/strict';
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { AppError } from '../../common/errors/app-error.ts';
import { FakeClock } from '../../common/time/fake-clock.ts';
import { migrations } from './schema.ts';
import { openSqliteEngine } from './sqlite-engine.ts';
import { openSqliteStore } from './sqlite-store.ts';
import { describeStoreContract, sampleIntent, sampleNode } from './store-contract.ts';

describeStoreContract('SQLite', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'kube-mtls-store-'));
  return {
    open: async (clock) => openSqliteStore(join(folder, 'kube-mtls.db'), clock),
    remove: () => rm(folder, { recursive: true }),
  };
});

describe('openSqliteStore', () => {
  let folder: string;
  let path: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kube-mtls-store-'));
    path = join(folder, 'kube-mtls.db');
  });
  afterEach(() => rm(folder, { recursive: true }));
  const unavailable = (words: RegExp) => (error: unknown) =>
    error instanceof AppError && error.reason === 'unavailable' && words.test(error.message);

  it('keeps the database and its journal from everybody but the owner', async () => {
    const store = openSqliteStore(path, new FakeClock());
    await store.enrol({ node: sampleNode(), useToken: undefined });
    for (const file of [path, `${path}-wal`, `${path}-shm`]) {
      assert.equal((await stat(file)).mode & 0o777, 0o600, file);
    }
    await store.close();
  });

  it('takes a database that others could read from them', async () => {
    await openSqliteStore(path, new FakeClock()).close();
    await chmod(path, 0o644);
    await openSqliteStore(path, new FakeClock()).close();
    assert.equal((await stat(path)).mode & 0o777, 0o600);
  });

  it('has every step on disk before it answers, waits for another process, and leaves no row without its node', async () => {
    const engine = openSqliteEngine(path);
    const pragma = (name: string) => Object.values(engine.prepare(`PRAGMA ${name}`).get() ?? {})[0];
    assert.equal(pragma('synchronous'), 2, 'FULL: a serial is durable before anything is signed with it');
    assert.equal(pragma('busy_timeout'), 5_000);
    assert.equal(pragma('foreign_keys'), 1);
    await engine.close();
  });

  it('lets no other process write between what a step reads and what it writes', async () => {
    const engine = openSqliteEngine(path);
    const other = new DatabaseSync(path, { timeout: 0 });
    await engine.write(() => {
      engine.prepare('SELECT count(*) FROM nodes').get();
      assert.throws(() => other.exec('PRAGMA user_version = 98'), /database is locked/);
    });
    other.exec('BEGIN IMMEDIATE; ROLLBACK');
    other.close();
    await engine.close();
  });

  it('uses write-ahead logging and counts its migrations', async () => {
    const store = openSqliteStore(path, new FakeClock());
    await store.close();
    const database = new DatabaseSync(path);
    assert.equal(database.prepare('PRAGMA journal_mode').get()?.journal_mode, 'wal');
    assert.equal(database.prepare('PRAGMA user_version').get()?.user_version, migrations.length);
    database.close();
  });

  it('takes over a database of the first schema with what it holds, and writes nothing to one of today', async () => {
    const old = new DatabaseSync(path);
    old.exec(migrations[0] ?? '');
    old.exec(`
      PRAGMA user_version = 1;
      INSERT INTO nodes VALUES ('w1', 'worker', '[]', 'p', '1', 0, 0, 't', 0, '', NULL, NULL, 0);
      INSERT INTO statuses VALUES ('w1', 'kubelet', x'07')`);
    old.close();
    let store = openSqliteStore(path, new FakeClock());
    assert.deepEqual(await store.listStatuses(), [{ node: 'w1', component: 'kubelet', status: Uint8Array.of(7) }]);
    await store.putStatus('w1', 'admin', Uint8Array.of(8));
    await store.putStatus('ghost', 'kubelet', Uint8Array.of(8));
    assert.equal((await store.listStatuses()).length, 2);
    assert.equal((await store.getRotation()).phase, 'settled');
    await store.close();
    const before = await readFile(path);
    store = openSqliteStore(path, new FakeClock());
    await store.close();
    assert.deepEqual(await readFile(path), before);
  });

  const forbidden = [
    "UPDATE events SET message = 'x'",
    'DELETE FROM events',
    "INSERT OR REPLACE INTO events VALUES (1, 0, 'k', 'a', '', '', 'forged', '')",
    'DELETE FROM certificates',
    "UPDATE certificates SET pem = 'x'",
    "UPDATE certificates SET holder = 'w2'",
  ];
  for (const sql of forbidden) {
    it(`refuses even somebody with the file open: ${sql}`, async () => {
      const store = openSqliteStore(path, new FakeClock());
      await store.appendEvent({ kind: 'k', actor: 'a', node: '', reason: '', message: 'true', source: '' });
      await store.recordIntents([sampleIntent()]);
      await store.recordIssued([{ authority: 'kubernetes', serial: '5e71a1', sha256: 'ab', pem: 'PEM' }]);
      const database = new DatabaseSync(path);
      assert.throws(() => database.exec(sql), /append-only|keeps every serial|does not change/);
      database.close();
      assert.equal((await store.listEvents({}, { size: 9, after: undefined })).rows[0]?.message, 'true');
      await store.close();
    });
  }

  it('refuses a database of a newer version, and leaves it as it is', () => {
    const database = new DatabaseSync(path);
    database.exec('PRAGMA user_version = 99');
    assert.throws(() => openSqliteStore(path, new FakeClock()), unavailable(/install the newer/));
    assert.equal(database.prepare('PRAGMA user_version').get()?.user_version, 99);
    database.close();
  });

  it('says which file it cannot open', async () => {
    await writeFile(path, 'this is no database, and it is long enough to be read as the header of one: '.repeat(20));
    assert.throws(() => openSqliteStore(path, new FakeClock()), unavailable(/cannot open the store .*kube-mtls\.db/));
    const missing = join(folder, 'missing', 'kube-mtls.db');
    assert.throws(() => openSqliteStore(missing, new FakeClock()), unavailable(/missing/));
  });
});
