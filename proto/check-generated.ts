/** Fails when proto/gen is not what `buf generate` makes of the .proto files now. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const fresh = mkdtempSync(join(tmpdir(), 'kube-mtls-gen-'));
try {
  execFileSync('buf', ['generate', '--output', fresh], { stdio: 'inherit' });
  const stale = compareFolders('proto/gen', join(fresh, 'proto/gen'));
  if (stale.length > 0) {
    console.error(`proto/gen is not current; run "npm run generate" and commit:\n  ${stale.join('\n  ')}`);
    process.exitCode = 1;
  }
} finally {
  rmSync(fresh, { recursive: true, force: true });
}

function compareFolders(committed: string, generated: string): string[] {
  const list = (folder: string) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.includes('_pb.'));
  const names = new Set([...list(committed), ...list(generated)]);
  return [...names].filter((name) => read(join(committed, name)) !== read(join(generated, name)));
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
