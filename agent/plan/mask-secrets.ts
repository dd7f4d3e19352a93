/** Takes secrets out of configuration texts before anybody gets to see them. */
import { isPlaceholder } from './placeholders.ts';

/** Keys of kubeconfigs whose values are secrets. */
const secretKeys = 'client-key-data|token|password|id-token|refresh-token|access-token|client-secret';
const keyAtLineStart = new RegExp(`^(\\s*(?:-\\s+)*)["']?(?:${secretKeys})["']?\\s*:`);
/** User and password in a URL, as in those of proxies. */
const userInUrl = /(:\/\/)[^\s/@"']+@/g;
/** Variables and headers in manifests; what etcd is set by is no secret, and may be ours. */
const variable = /(-\s+name:[ \t]*(?!["']?ETCD_)\S+[ \t]*\r?\n\s+value:[ \t]*)\S[^\r\n]*/g;
const variableInJson = /("name"\s*:\s*"(?!ETCD_)[^"]*"\s*,\s*"value"\s*:\s*)"(?:[^"\\]|\\.)*"/g;
/** In a line of its own a plain value goes to the line's end; in a flow mapping commas and braces end it. */
const pairInBlock = pairWith('\\S[^\\r]*');
const pairInFlow = pairWith('[^\\s,}][^,}\\r]*');

/**
 * The text with the values of secret keys as "[redacted]", in block and flow style, also where a value goes over several
 * lines; without the body of any PEM private key, users in URLs, and values of variables in manifests. Line breaks stay, so
 * that a diff can be made of the result.
 */
export function maskSecrets(text: string): string {
  const withoutKeys = text
    .replace(/(-----BEGIN [A-Z ]*PRIVATE KEY-----)[\s\S]*?(-----END [A-Z ]*PRIVATE KEY-----)/g, '$1[redacted]$2')
    .replace(userInUrl, '$1[redacted]@')
    .replace(variable, '$1[redacted]')
    .replace(variableInJson, '$1[redacted]');
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
      return line.replace(key === null ? pairInFlow : pairInBlock, (whole, head: string, value: string) =>
        isPlaceholder(value) ? whole : `${head}[redacted]`,
      );
    })
    .join('\n');
}

/** A secret key with its value: in quotes, or as the pattern has it, which also takes quotes that another line closes. */
function pairWith(plain: string): RegExp {
  const head = `["']?(?<![\\w-])(?:${secretKeys})["']?\\s*:[ \\t]*`;
  // in front of a value YAML allows a tag or an anchor
  const value = `(?:[!&]\\S*[ \\t]+)*(?:"(?:[^"\\\\]|\\\\.)*"|'(?:[^']|'')*'|${plain})`;
  return new RegExp(`(${head})(${value})`, 'g');
}
