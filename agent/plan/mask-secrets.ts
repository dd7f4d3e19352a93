/** Takes secrets out of configuration texts before anybody gets to see them. */
import { isPlaceholder } from './placeholders.ts';

/** Keys of kubeconfigs whose values are secrets. */
const secretKeys = 'client-key-data|token|password|id-token|refresh-token|access-token|client-secret';
const keyAtLineStart = new RegExp(`^(\\s*(?:-\\s+)*)["']?(?:${secretKeys})["']?\\s*:`);
const pair = new RegExp(
  `(["']?(?<![\\w-])(?:${secretKeys})["']?\\s*:[ \\t]*)("(?:[^"\\\\]|\\\\.)*"|'(?:[^']|'')*'|[^\\s,}"'][^\\s,}]*)`,
  'g',
);

/**
 * The text with the values of secret keys as "[redacted]", in block and flow style, also where a value goes over several
 * lines; and without the body of any PEM private key. Line breaks stay, so that a diff can be made of the result.
 */
export function maskSecrets(text: string): string {
  const withoutKeys = text.replace(
    /(-----BEGIN [A-Z ]*PRIVATE KEY-----)[\s\S]*?(-----END [A-Z ]*PRIVATE KEY-----)/g,
    '$1[redacted]$2',
  );
  let secretColumn = Number.POSITIVE_INFINITY;
  return withoutKeys
    .split('\n')
    .map((line) => {
      const column = line.search(/\S/);
      // a line that stands deeper than a secret key goes on with its value
      if (column > secretColumn) return `${line.slice(0, column)}[redacted]`;
      const key = keyAtLineStart.exec(line);
      if (column >= 0) secretColumn = key === null ? Number.POSITIVE_INFINITY : (key[1]?.length ?? 0);
      // what is only made later is no secret yet, and a reader wants to see that it changes
      return line.replace(pair, (whole, head: string, value: string) =>
        isPlaceholder(value) ? whole : `${head}[redacted]`,
      );
    })
    .join('\n');
}
