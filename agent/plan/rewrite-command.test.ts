// biome-ignore-all lint/suspicious/noTemplateCurlyInString: ${NAME} is a variable of systemd here
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Word } from '../detect/detected.ts';
import { parseExecLine } from '../detect/exec-words.ts';
import { apiserverDialect, etcdDialect, kubeletDialect } from '../detect/flag-dialects.ts';
import { flagValues, parseFlags } from '../detect/flags.ts';
import { type FlagEdit, rewriteCommand } from './rewrite-command.ts';

const place = { path: '/etc/systemd/system/x.service' };

function words(line: string, environment: Record<string, string> = {}): Word[] {
  const context = { environment: new Map(Object.entries(environment)), unitName: 'x.service', hostname: 'cp1', place };
  return parseExecLine(line, context).words;
}

interface Row {
  it: string;
  line: string;
  environment?: Record<string, string>;
  dialect?: typeof etcdDialect;
  edits: [string, FlagEdit][];
  want: string;
}

const rows: Row[] = [
  {
    it: 'replaces a value where it stands and appends what is missing',
    line: '/bin/x --a=1 --tls-cert-file=/old --b=2',
    edits: [
      ['tls-cert-file', { set: '/new' }],
      ['client-ca-file', { set: '/ca' }],
    ],
    want: '/bin/x --a=1 --tls-cert-file=/new --b=2 --client-ca-file=/ca',
  },
  {
    it: 'replaces a flag whose value is the next word',
    line: '/bin/x --tls-cert-file /old --b 2',
    edits: [['tls-cert-file', { set: '/new' }]],
    want: '/bin/x --tls-cert-file=/new --b 2',
  },
  {
    it: 'keeps quotes, variables and specifiers of everything else',
    line: '/bin/x "--a=x y" $EXTRA ${ONE} --host=%H --tls-cert-file=/old',
    environment: { EXTRA: '--v=2 --w=3', ONE: '--one' },
    edits: [['tls-cert-file', { set: '/new' }]],
    want: '/bin/x "--a=x y" $EXTRA ${ONE} --host=%H --tls-cert-file=/new',
  },
  {
    it: 'writes out a variable only when it holds one of our flags',
    line: '/bin/x $EXTRA $MORE',
    environment: { EXTRA: '--a=100%% --tls-cert-file=/old --b=c', MORE: '--v=2' },
    edits: [['tls-cert-file', { set: '/new' }]],
    want: '/bin/x --a=100%%%% --tls-cert-file=/new --b=c $MORE',
  },
  {
    it: 'replaces the last of several occurrences, which is the one that counts',
    line: '/bin/x --tls-cert-file=/first --tls-cert-file=/second',
    edits: [['tls-cert-file', { set: '/new' }]],
    want: '/bin/x --tls-cert-file=/first --tls-cert-file=/new',
  },
  {
    it: 'knows flags written with underscores as Kubernetes does',
    line: '/bin/x --tls_cert_file=/old',
    edits: [['tls-cert-file', { set: '/new' }]],
    want: '/bin/x --tls-cert-file=/new',
  },
  {
    it: 'knows flags of one dash for etcd',
    line: '/bin/etcd -cert-file /old -client-cert-auth -name a',
    dialect: etcdDialect,
    edits: [
      ['cert-file', { set: '/new' }],
      ['client-cert-auth', { set: 'true' }],
    ],
    want: '/bin/etcd --cert-file=/new -client-cert-auth -name a',
  },
  {
    it: 'does not take the word after a switch for its value',
    line: '/bin/kubelet --anonymous-auth --v=2',
    dialect: kubeletDialect,
    edits: [['anonymous-auth', { set: 'false' }]],
    want: '/bin/kubelet --anonymous-auth=false --v=2',
  },
  {
    it: 'drops a flag with its value, also out of a variable',
    line: '/bin/kubelet $ARGS --bootstrap-kubeconfig /b --v=2',
    dialect: kubeletDialect,
    environment: { ARGS: '--bootstrap-kubeconfig=/etc/b --kubeconfig=/etc/k' },
    edits: [['bootstrap-kubeconfig', 'drop']],
    want: '/bin/kubelet --kubeconfig=/etc/k --v=2',
  },
  {
    it: 'maps every occurrence of a flag whose values add up, and appends none',
    line: '/bin/x --etcd-servers=http://a --etcd-servers=http://b',
    edits: [
      ['etcd-servers', { map: (value) => value.replace('http:', 'https:') }],
      ['other', { map: () => 'x' }],
    ],
    want: '/bin/x --etcd-servers=https://a --etcd-servers=https://b',
  },
  {
    it: 'leaves the text of a flag that has the value already',
    line: '/bin/x "--tls-cert-file" "/new" --v=2',
    edits: [['tls-cert-file', { set: '/new' }]],
    want: '/bin/x "--tls-cert-file" "/new" --v=2',
  },
  {
    it: 'neutralizes what has a meaning in a unit',
    line: '/bin/x',
    edits: [['tls-cert-file', { set: '/a $b 50%' }]],
    want: '/bin/x "--tls-cert-file=/a $$b 50%%"',
  },
  {
    it: 'keeps the prefixes of the program',
    line: '-@/bin/x argv0 --tls-cert-file=/old',
    edits: [['tls-cert-file', { set: '/new' }]],
    want: '-@/bin/x argv0 --tls-cert-file=/new',
  },
];

describe('rewriteCommand', () => {
  for (const row of rows) {
    it(row.it, () => {
      const command = words(row.line, row.environment);
      const got = rewriteCommand(command, row.dialect ?? apiserverDialect, new Map(row.edits), place).join(' ');
      assert.equal(got, row.want);
    });
  }

  it('changes no other flag, and rewriting its own result changes nothing, for many command lines', () => {
    const pieces = ['--a=1', '--b "x y"', '$VAR', '--tls-cert-file=/old', '--c', '--tls-cert-file /older', "'--d=$$q'"];
    const environment = { VAR: '--e=1 --tls-cert-file=/var --f=%x' };
    const edits = new Map<string, FlagEdit>([['tls-cert-file', { set: '/new' }]]);
    const others = (command: readonly Word[]) => {
      const flags = flagValues(parseFlags(command, apiserverDialect, place));
      return [...flags].filter(([name]) => name !== 'tls-cert-file').sort();
    };
    let seed = 7;
    for (let round = 0; round < 300; round++) {
      const line = ['/bin/x'];
      for (let count = 0; count < 6; count++) {
        seed = (seed * 1103515245 + 12345) % 2 ** 31;
        line.push(pieces[seed % pieces.length] ?? '');
      }
      const before = words(line.join(' '), environment);
      const once = words(rewriteCommand(before, apiserverDialect, edits, place).join(' '), environment);
      assert.deepEqual(others(once), others(before), line.join(' '));
      assert.equal(
        flagValues(parseFlags(once, apiserverDialect, place))
          .get('tls-cert-file')
          ?.at(-1),
        '/new',
      );
      assert.deepEqual(
        rewriteCommand(once, apiserverDialect, edits, place),
        once.map(({ raw }) => raw),
      );
    }
  });
});
