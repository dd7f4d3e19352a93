/** The real openssl, for tests that prove that others read what we write and the other way round. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A folder of files with openssl working in it. */
export interface Openssl {
  /** Runs `openssl ARGS` in the folder; throws with its standard error when it fails. */
  run(...args: string[]): string;
  write(name: string, content: string | Uint8Array): void;
  read(name: string): Buffer;
  text(name: string): string;
  remove(): void;
}

/** A new temporary folder; the caller removes it. */
export function opensslFolder(): Openssl {
  const folder = mkdtempSync(join(tmpdir(), 'kube-mtls-x509-'));
  return {
    run: (...args) =>
      execFileSync('openssl', args, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }),
    write: (name, content) => writeFileSync(join(folder, name), content),
    read: (name) => readFileSync(join(folder, name)),
    text: (name) => readFileSync(join(folder, name), 'utf8'),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
