import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { refused, startMs, type TestMachine, testMachine } from '../init/init-for-tests.ts';
import { connectOperator } from './connect.ts';

const DAY_MS = 86_400_000;

describe('connectOperator', () => {
  let machine: TestMachine;
  before(async () => {
    machine = testMachine();
    await machine.init();
  });
  after(() => machine.remove());

  const noticeAfter = async (days: number) => {
    const { adminFolder, configFile } = machine.layout;
    const operator = await connectOperator({ credentials: adminFolder, config: configFile }, startMs + days * DAY_MS);
    operator.close();
    return operator.notice;
  };

  it('says nothing of a certificate that lasts', async () => {
    assert.equal(await noticeAfter(0), undefined);
    assert.equal(await noticeAfter(240), undefined);
  });

  it('says when the certificate ends with a third of its life left, and what makes another', async () => {
    assert.match((await noticeAfter(245)) ?? '', /admin\.crt ends 20\d\d-.*: run the "kube-mtls-server init" .* again/);
  });

  it('refuses a certificate that is over, and says the same', async () => {
    await assert.rejects(noticeAfter(366), refused('unauthenticated', /admin\.crt ended 20.*kube-mtls-server init/));
  });

  it('refuses a file that is none', async () => {
    writeFileSync(join(machine.layout.adminFolder, 'admin.crt'), 'nothing\n');
    await assert.rejects(noticeAfter(0), refused('unauthenticated', /admin\.crt holds no certificate/));
  });
});
