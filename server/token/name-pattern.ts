/** Node names that a token allows: exact, or with * for any run of characters but dots. */

/** True when the text may stand in a token: an RFC 1123 subdomain in lower case in which "*" counts as a letter. */
export function isNamePattern(text: string): boolean {
  return text.length <= 253 && text.split('.').every((label) => /^[a-z0-9*]([a-z0-9*-]{0,61}[a-z0-9*])?$/.test(label));
}

/** True for a name without *. */
export function isExact(pattern: string): boolean {
  return !pattern.includes('*');
}

/** True when one of the patterns matches the name; no patterns match any. Takes time in proportion to both lengths. */
export function matchesName(name: string, patterns: readonly string[]): boolean {
  return patterns.length === 0 || patterns.some((pattern) => matches(name, pattern));
}

/** Label by label, each greedily with one way back: no pattern can make it slow, as a regular expression could be. */
function matches(name: string, pattern: string): boolean {
  const labels = name.split('.');
  const patterns = pattern.split('.');
  return (
    labels.length === patterns.length && labels.every((label, index) => matchesLabel(label, patterns[index] ?? ''))
  );
}

function matchesLabel(label: string, pattern: string): boolean {
  let at = 0;
  let patternAt = 0;
  let starAt = -1;
  let retryAt = 0;
  while (at < label.length) {
    if (pattern[patternAt] === '*') {
      starAt = patternAt++;
      retryAt = at;
    } else if (pattern[patternAt] === label[at]) {
      patternAt++;
      at++;
    } else if (starAt >= 0) {
      patternAt = starAt + 1;
      at = ++retryAt;
    } else {
      return false;
    }
  }
  return /^\**$/.test(pattern.slice(patternAt));
}
