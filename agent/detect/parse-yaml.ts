/** Parsing YAML that somebody else wrote: some short texts keep a parser busy for hours, and nothing else is done meanwhile. */
import { type Document, isScalar, parseDocument, visit } from 'yaml';
import { AppError, messageOf } from '../../common/errors/app-error.ts';

/** Manifests, kubeconfigs and configurations have some ten kilobytes; characters. */
const MOST_CHARACTERS = 1024 * 1024;
/**
 * Most of the characters that begin or end a key, an item, a text or a line. The parser compares each key of a mapping with all
 * others: the worst texts of this size took 2.5 s, and an hour without the limit (yaml 2, measured). A kubeconfig of 150 clusters has as many.
 */
const MOST_MARKS = 10_000;
const MARK = /[\n\r,:&*!?{}[\]"'#|>%@`]|-(?=\s)/g;

/**
 * Parses one YAML document; what is wrong with the YAML stands in its errors.
 *
 * @throws AppError 'invalid-request' for a text that is too long, too intricate or nested too deep, and for keys that are no
 *   single values, which take exponential time
 */
export function parseForeignYaml(text: string): Document.Parsed {
  if (text.length > MOST_CHARACTERS) throw new AppError('invalid-request', 'it is longer than 1 MiB');
  if ((text.match(MARK)?.length ?? 0) > MOST_MARKS) {
    throw new AppError('invalid-request', `it has more than ${MOST_MARKS} lines, keys and marks`);
  }
  const document = parse(text);
  visit(document, {
    Pair: (_, { key }) => {
      if (key === null || isScalar(key)) return;
      throw new AppError('invalid-request', 'a key in it is no single value');
    },
  });
  return document;
}

function parse(text: string): Document.Parsed {
  try {
    return parseDocument(text, { prettyErrors: true });
  } catch (error) {
    throw new AppError('invalid-request', messageOf(error), { cause: error });
  }
}

/**
 * What one YAML document says, as plain values.
 *
 * @throws as {@link parseForeignYaml}, and for whatever is wrong with the YAML
 */
export function foreignYamlValue(text: string): unknown {
  const document = parseForeignYaml(text);
  const [error] = document.errors;
  if (error !== undefined) throw error;
  return document.toJS(); // more than 100 values by aliases are refused by the library
}
