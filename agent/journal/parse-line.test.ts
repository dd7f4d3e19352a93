import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type ParsedLine, parseLine } from './parse-line.ts';

const REJECTED = 'rejected connection';

describe('parseLine', () => {
  const rows: readonly [what: string, message: string, expected: Partial<ParsedLine>][] = [
    [
      'klog text',
      'E1124 10:14:03.054501     163 authentication.go:53] Unable: x',
      { format: 'klog', severity: 'error', source: 'authentication.go', message: 'Unable: x', error: 'Unable: x' },
    ],
    [
      'klog structured, escapes and bare values included',
      'I1124 10:14:03.054501       1 run.go:72] "command failed" err="open \\"/a\\": x" count=3',
      { format: 'klog', severity: 'info', message: 'command failed', error: 'open "/a": x' },
    ],
    [
      'klog text that begins with a quote',
      'I1124 10:14:03.054501       1 run.go:72] "quoted: but not structured',
      { message: '"quoted: but not structured' },
    ],
    [
      'klog JSON',
      '{"ts":1795519998821.1,"caller":"cli/run.go:72","msg":"command failed","err":"x"}',
      { format: 'klog-json', severity: 'error', source: 'cli/run.go', message: 'command failed', error: 'x' },
    ],
    [
      'zap JSON',
      `{"level":"warn","ts":"2026","caller":"embed/c.go:170","msg":"${REJECTED}","remote-addr":"10.0.0.1:5","server-name":"s","ip-addresses":["1.2.3.4"],"error":"EOF"}`,
      { format: 'zap', severity: 'warning', message: REJECTED, error: 'EOF', remote: '10.0.0.1:5', serverName: 's' },
    ],
    ['JSON that is cut off', '{"level":"warn","msg":"x', { format: 'text', message: '{"level":"warn","msg":"x' }],
    ['JSON of something else', '{"a":1}', { format: 'text', message: '{"a":1}' }],
    [
      'zap console',
      `2026-01-02T15:04:05.000Z\tWARN\tembed/c.go:170\t${REJECTED}\t{"remote-addr": "10.0.0.1:5", "error": "EOF"}`,
      { format: 'zap-console', severity: 'warning', message: REJECTED, error: 'EOF', remote: '10.0.0.1:5' },
    ],
    [
      'capnslog',
      '2026-11-24 10:17:26.123456 C | etcdmain: open /a: no such file or directory',
      { format: 'capnslog', severity: 'fatal', source: 'etcdmain', message: 'open /a: no such file or directory' },
    ],
    [
      'etcd under systemd',
      `${REJECTED} from "10.0.0.1:5" (error "tls: \\"a\\" b", ServerName "n", IPAddresses ["1.2.3.4"], DNSNames ["d"])`,
      { format: 'text', remote: '10.0.0.1:5', error: 'tls: "a" b', serverName: 'n' },
    ],
    [
      'gRPC inside etcd',
      'WARNING: 2026/11/24 10:17:56 [core] [Channel #1 SubChannel #2]grpc: addrConn.createTransport failed to connect to {Addr: "127.0.0.1:2379", }. Err: connection error: desc = "x"',
      { format: 'text', severity: 'warning', host: '127.0.0.1:2379', error: 'x' },
    ],
    [
      'a call, by its address',
      'E1124 10:14:03.054501     163 x.go:1] failed: Get "https://api.example/a?b=c": EOF',
      { url: 'https://api.example/a?b=c', host: 'api.example:443', error: 'EOF' },
    ],
    [
      'a call of older Go, without quotes',
      'E1124 10:14:03.054501     163 x.go:1] failed: Get https://10.0.0.1:6443/a: EOF',
      { host: '10.0.0.1:6443', error: 'EOF' },
    ],
    [
      'a handshake error',
      'I1124 10:14:03.054501     163 log.go:172] http: TLS handshake error from [fd00::1]:5: EOF',
      { remote: '[fd00::1]:5', error: 'EOF' },
    ],
    [
      'klog behind what a wrapper puts in front of it',
      '[kubelet] 2026-11-24T10:14:03Z stderr F E1124 10:14:03.054501     163 x.go:1] "Started" err="EOF"',
      { format: 'klog', severity: 'error', source: 'x.go', message: 'Started', error: 'EOF' },
    ],
    [
      'klog behind a short prefix',
      'xyz E1124 10:14:03.054501     163 x.go:1] "Started kubelet" err="EOF"',
      { format: 'klog', severity: 'error', source: 'x.go', message: 'Started kubelet', error: 'EOF' },
    ],
    [
      'no header of klog behind a quotation mark, where anybody may have written it',
      'pod "E1124 10:14:03.054501     163 x.go:1] x509: certificate signed by unknown authority',
      { format: 'text' },
    ],
    ['nothing', '', { format: 'text', severity: '', message: '', error: '', remote: '', url: '', host: '' }],
  ];
  for (const [what, message, expected] of rows) {
    it(`reads ${what}`, () => {
      const line = parseLine({ message, fromSystemd: false });
      assert.deepEqual({ ...line, ...expected }, line);
    });
  }

  it("leaves systemd's own lines as they are", () => {
    const line = parseLine({ message: '{"msg":"x"}', fromSystemd: true });
    assert.deepEqual([line.format, line.message], ['systemd', '{"msg":"x"}']);
  });
});
